// One JsSIP phone, in node or in a page: it obeys commands and tells what happens.
'use strict';

/* `config`: url, user, domain, media (constraints of the calls), ice (of the peer connections). Returns what obeys `{do: ...}`. */
function phone(JsSIP, config, tell) {
  const ua = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(config.url)],
    uri: `sip:${config.user}@${config.domain}`,
    password: config.password,
    register_expires: 600,
    session_timers: false,
    connection_recovery_min_interval: 1,
    connection_recovery_max_interval: 1,
  });
  const options = { mediaConstraints: config.media, pcConfig: config.ice };
  let session = null;
  let ear = null;

  /* What a browser knows of the session's media. */
  async function media() {
    const stats = [...(await session.connection.getStats()).values()];
    const of = (type) => stats.find((one) => one.type === type) ?? {};
    const transport = of('transport');
    const pair = stats.find((one) => one.id === transport.selectedCandidatePairId) ?? {};
    const named = (id) => stats.find((one) => one.id === id) ?? {};
    return {
      dtls: transport.dtlsState ?? '',
      srtp: transport.srtpCipher ?? '',
      role: transport.dtlsRole ?? '',
      ice: session.connection.iceConnectionState,
      candidate: named(pair.localCandidateId).candidateType ?? '',
      codec: named(of('inbound-rtp').codecId).mimeType ?? '',
      sent: of('outbound-rtp').packetsSent ?? 0,
      received: of('inbound-rtp').packetsReceived ?? 0,
      lost: of('inbound-rtp').packetsLost ?? 0,
    };
  }

  /* The loudest frequency that the page hears, 0 while it is silent. */
  function hertz() {
    if (!ear) {
      const stream = new MediaStream(session.connection.getReceivers().map((receiver) => receiver.track));
      // What no element plays is not decoded.
      const player = new Audio();
      player.srcObject = stream;
      player.muted = true;
      player.play();
      const context = new AudioContext();
      const analyser = context.createAnalyser();
      analyser.fftSize = 8192;
      context.createMediaStreamSource(stream).connect(analyser);
      ear = { context, analyser, player };
    }
    const levels = new Float32Array(ear.analyser.frequencyBinCount);
    ear.analyser.getFloatFrequencyData(levels);
    const loudest = levels.reduce((best, level, bin) => (level > levels[best] ? bin : best), 0);
    return levels[loudest] > -60 ? Math.round((loudest * ear.context.sampleRate) / ear.analyser.fftSize) : 0;
  }

  for (const name of ['connected', 'registered', 'unregistered']) {
    ua.on(name, () => tell({ event: name }));
  }
  ua.on('disconnected', (why) => {
    tell({ event: 'disconnected', code: why.code ?? 0, reason: String(why.reason ?? '') });
  });
  ua.on('registrationFailed', (why) => tell({ event: 'registrationFailed', cause: why.cause, status: why.response?.status_code ?? 0 }));
  ua.on('newRTCSession', ({ session: fresh, originator, request }) => {
    session = fresh;
    ear = null;
    if (originator === 'remote') {
      tell({ event: 'incoming', from: request.from.uri.user, contact: request.getHeader('Contact'), via: request.getHeader('Via') });
    }
    for (const name of ['progress', 'accepted', 'confirmed', 'hold', 'unhold', 'reinvite']) {
      fresh.on(name, (what) => tell({ event: name, originator: what?.originator ?? '' }));
    }
    for (const name of ['ended', 'failed']) {
      fresh.on(name, (why) => tell({ event: name, originator: why.originator, cause: why.cause, status: why.message?.status_code ?? 0 }));
    }
  });

  const orders = {
    start: () => ua.start(),
    stop: () => ua.stop(),
    call: ({ to }) => ua.call(`sip:${to}@${config.domain}`, options),
    answer: () => session.answer(options),
    reject: ({ status }) => session.terminate({ status_code: status }),
    terminate: () => session.terminate(),
    /* A step of the spectrum is 6 Hz wide. */
    listen: ({ hertz: wanted }) => {
      const waiting = setInterval(async () => {
        if (Math.abs(hertz() - wanted) <= 12) {
          clearInterval(waiting);
          tell({ event: 'tone', ...(await media()) });
        }
      }, 50);
    },
    hold: () => session.hold({}, () => tell({ event: 'held' })),
    unhold: () => session.unhold({}, () => tell({ event: 'resumed' })),
    options: ({ to }) => ua.sendOptions(`sip:${to}@${config.domain}`, null, {
      eventHandlers: {
        succeeded: ({ response }) => tell({ event: 'options', status: response.status_code, allow: response.getHeader('Allow') }),
        failed: ({ response, cause }) => tell({ event: 'options', status: response?.status_code ?? 0, cause }),
      },
    }),
    message: ({ to, text }) => ua.sendMessage(`sip:${to}@${config.domain}`, text, {
      eventHandlers: {
        succeeded: ({ response }) => tell({ event: 'message', status: response.status_code }),
        failed: ({ response, cause }) => tell({ event: 'message', status: response?.status_code ?? 0, cause }),
      },
    }),
  };
  return (order) => orders[order.do](order);
}

if (typeof module !== 'undefined') {
  module.exports = { phone };
}
