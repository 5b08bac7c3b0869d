// One JsSIP phone, in node or in a page: it obeys commands and tells what happens.
'use strict';

/* `config`: url, user, domain, media (constraints of the calls). Returns what obeys `{do: ...}`. */
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
  const options = { mediaConstraints: config.media, pcConfig: { iceServers: [] } };
  let session = null;

  for (const name of ['connected', 'registered', 'unregistered']) {
    ua.on(name, () => tell({ event: name }));
  }
  ua.on('disconnected', (why) => {
    tell({ event: 'disconnected', code: why.code ?? 0, reason: String(why.reason ?? '') });
  });
  ua.on('registrationFailed', (why) => tell({ event: 'registrationFailed', cause: why.cause, status: why.response?.status_code ?? 0 }));
  ua.on('newRTCSession', ({ session: fresh, originator, request }) => {
    session = fresh;
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
    hold: () => session.hold(),
    unhold: () => session.unhold(),
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
