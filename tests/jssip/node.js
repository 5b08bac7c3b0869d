// The phone in node: node.js PORT HOST CONFIG. Orders come, and events go, as lines of JSON over a connection to PORT at HOST.
'use strict';

const fs = require('node:fs');
const dgram = require('node:dgram');
const net = require('node:net');
const JsSIP = require('jssip');
const WebSocket = require('ws');
const { phone } = require('./phone.js');

const [port, host, text] = process.argv.slice(2);
const config = JSON.parse(text);
const orders = net.connect(Number(port), host);
const tell = (what) => orders.write(`${JSON.stringify(what)}\n`);

/* As a page of `config.origin` opens it; every message is told. */
let socket = null;
globalThis.WebSocket = class extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { origin: config.origin, ca: config.ca && fs.readFileSync(config.ca) });
    socket = this;
    this.on('message', (data) => tell({ event: 'wire', received: true, text: data.toString() }));
    this.on('unexpected-response', (_, response) => tell({ event: 'refused', status: response.statusCode }));
  }

  send(data) {
    tell({ event: 'wire', received: false, text: data.toString() });
    super.send(data);
  }
};

/* Plain RTP in place of a browser's media: what comes is sent back, or a packet goes out every 20 ms. */
const media = dgram.createSocket('udp4');
media.bind(config.mediaPort, config.address);
let target = null;
let heard = 0;
let sequence = 0;
media.on('message', (packet) => {
  heard += 1;
  if (target && config.echoes) {
    media.send(packet, target.port, target.address);
  }
});
setInterval(() => {
  if (target && !config.echoes) {
    const packet = Buffer.alloc(172, 0xd5);
    packet.set([0x80, 8, sequence >> 8, sequence & 0xff]);
    packet.writeUInt32BE(sequence * 160, 4);
    packet.writeUInt32BE(0x70a57, 8);
    sequence = (sequence + 1) & 0xffff;
    media.send(packet, target.port, target.address);
  }
}, 20);

let version = 0;
class FixedConnection extends EventTarget {
  iceGatheringState = 'complete';
  iceConnectionState = 'connected';
  signalingState = 'stable';
  localDescription = null;

  describe(type) {
    version += 1;
    const sdp = `v=0\r\no=- 1 ${version} IN IP4 ${config.address}\r\ns=-\r\nc=IN IP4 ${config.address}\r\nt=0 0\r\n` +
      `m=audio ${config.mediaPort} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n`;
    return Promise.resolve({ type, sdp });
  }

  createOffer() { return this.describe('offer'); }
  createAnswer() { return this.describe('answer'); }

  setLocalDescription(description) {
    this.localDescription = description;
    this.signalingState = description.type === 'offer' ? 'have-local-offer' : 'stable';
    return Promise.resolve();
  }

  setRemoteDescription(description) {
    this.signalingState = description.type === 'offer' ? 'have-remote-offer' : 'stable';
    const address = /^c=IN IP4 (\S+)/m.exec(description.sdp);
    const audio = /^m=audio (\d+) RTP\/AVP /m.exec(description.sdp);
    if (!address || !audio) {
      return Promise.reject(new Error(`no plain audio in ${description.sdp}`));
    }
    target = { address: address[1], port: Number(audio[1]) };
    return Promise.resolve();
  }

  getSenders() { return []; }
  close() {
    this.signalingState = 'closed';
    target = null;
  }
}
globalThis.window = globalThis;
globalThis.RTCPeerConnection = FixedConnection;
globalThis.RTCSessionDescription = class { constructor(init) { Object.assign(this, init); } };

const obey = phone(JsSIP, config, tell);
const own = {
  heard: () => tell({ event: 'heard', packets: heard }),
  /* As a network that went away: no close is said. */
  cut: () => socket.terminate(),
};

let pending = '';
orders.on('data', (data) => {
  const lines = (pending + data).split('\n');
  pending = lines.pop();
  for (const line of lines) {
    const order = JSON.parse(line);
    (own[order.do] ?? obey)(order);
  }
});
orders.on('close', () => process.exit(0));
