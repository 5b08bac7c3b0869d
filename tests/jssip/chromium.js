// The phone in a page of a real browser: chromium.js PORT HOST CONFIG, otherwise as node.js. Debian's Chromium is driven by
// playwright-core; the page is served from memory under the origin that it says it is of.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const { createRequire } = require('node:module');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { chromium } = require('playwright-core');

const [port, host, text] = process.argv.slice(2);
const config = JSON.parse(text);

/* JsSIP comes as modules of node; a page wants one script. */
function bundle(entry) {
  const files = new Map();
  const add = (file) => {
    if (files.has(file)) {
      return file;
    }
    files.set(file, '');
    const source = fs.readFileSync(file, 'utf8');
    if (file.endsWith('.json')) {
      files.set(file, `module.exports = ${source};`);
      return file;
    }
    const resolve = createRequire(file).resolve;
    files.set(file, source.replace(/\brequire\((['"])([^'"]+)\1\)/g, (_, quote, name) => {
      // What node has itself, and what packages have for pages.
      const other = { events: 'events/', debug: 'debug/src/browser.js' }[name];
      return `require(${JSON.stringify(add(resolve(other ?? name)))})`;
    }));
    return file;
  };
  add(entry);
  const modules = [...files].map(([file, source]) => `${JSON.stringify(file)}: (module, exports, require) => {${source}\n}`);
  return `window.JsSIP = (() => {
    const sources = {${modules.join(',\n')}};
    const loaded = {};
    const require = (name) => {
      if (!loaded[name]) {
        loaded[name] = { exports: {} };
        sources[name](loaded[name], loaded[name].exports, require);
      }
      return loaded[name].exports;
    };
    return require(${JSON.stringify(entry)});
  })();`;
}

/* A tone as a microphone has it: a second of 16 bits at 48 kHz, which Chromium plays over and over. */
function toneFile(hertz) {
  const rate = 48000;
  const samples = Buffer.alloc(rate * 2);
  for (let at = 0; at < rate; at += 1) {
    samples.writeInt16LE(Math.round(12000 * Math.sin((2 * Math.PI * hertz * at) / rate)), at * 2);
  }
  const head = Buffer.alloc(44);
  head.write('RIFF');
  head.writeUInt32LE(36 + samples.length, 4);
  head.write('WAVEfmt ', 8);
  [[16, 4], [1, 2], [1, 2], [rate, 4], [rate * 2, 4], [2, 2], [16, 2]].reduce((at, [value, bytes]) => head.writeUIntLE(value, at, bytes), 16);
  head.write('data', 36);
  head.writeUInt32LE(samples.length, 40);
  const file = path.join(os.tmpdir(), 'tone.wav');
  fs.writeFileSync(file, Buffer.concat([head, samples]));
  return file;
}

async function main() {
  const orders = net.connect(Number(port), host);
  const tell = (what) => orders.write(`${JSON.stringify(what)}\n`);
  const certificate = new crypto.X509Certificate(fs.readFileSync(config.ca));
  const key = certificate.publicKey.export({ type: 'spki', format: 'der' });
  const pin = crypto.createHash('sha256').update(key).digest('base64');
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--use-fake-device-for-media-stream',
      `--use-file-for-fake-audio-capture=${toneFile(config.hertz)}`,
      '--use-fake-ui-for-media-stream',
      // Nobody clicks before the page may listen.
      '--autoplay-policy=no-user-gesture-required',
      // The test's addresses are loopback; a browser hides those, and keeps pages from the network away from them.
      '--allow-loopback-in-peer-connection',
      '--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets',
      // This key and no other, whoever signed it.
      `--ignore-certificate-errors-spki-list=${pin}`,
    ],
  });
  orders.on('close', () => browser.close().finally(() => process.exit(0)));
  const context = await browser.newContext();
  await context.route('**/*', (route) => {
    route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>phone</title>' });
  });
  const page = await context.newPage();
  page.on('pageerror', (error) => console.error(String(error)));
  page.on('console', (line) => console.error(line.text()));
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => tell({ event: 'wire', received: false, text: payload.toString() }));
    socket.on('framereceived', ({ payload }) => tell({ event: 'wire', received: true, text: payload.toString() }));
    socket.on('socketerror', (error) => tell({ event: 'refused', error }));
  });
  await context.exposeFunction('tell', tell);
  await page.goto(`${config.origin}/`);
  await page.addScriptTag({ content: bundle(require.resolve('jssip')) });
  await page.addScriptTag({ content: fs.readFileSync(path.join(__dirname, 'phone.js'), 'utf8') });
  await page.evaluate((own) => {
    const obey = phone(JsSIP, own, window.tell);
    // Without what the order returned, which no test can be handed.
    window.obey = (order) => { obey(order); };
  }, { ...config, media: { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false }, video: false } });
  let pending = '';
  let last = Promise.resolve();
  orders.on('data', (data) => {
    const lines = (pending + data).split('\n');
    pending = lines.pop();
    for (const line of lines) {
      last = last.then(() => page.evaluate((order) => window.obey(order), JSON.parse(line)));
    }
  });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
