//! What the libraries of the first design cost on this machine; the ADRs cite these figures.

use std::hint::black_box;

use aes::Aes128;
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use cipher::{KeyIvInit, StreamCipher};
use criterion::{Criterion, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

const INVITE: &str = "INVITE sip:493012345678@provider.example SIP/2.0\r\n\
    Via: SIP/2.0/TLS 192.0.2.7:5061;branch=z9hG4bK74bf9;rport\r\n\
    Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@provider.example>;tag=9fxced76sl\r\n\
    To: <sip:493012345678@provider.example>\r\nCall-ID: 3848276298220188511@192.0.2.7\r\n\
    CSeq: 2 INVITE\r\nContact: <sip:alice@192.0.2.7:5061;transport=tls>\r\nContent-Length: 0\r\n\r\n";

/// Counting a packet: a worker's own integer, a cached handle, a name looked up.
fn metrics(c: &mut Criterion) {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    metrics::set_global_recorder(recorder).expect("the first recorder");
    let mut plain = 0u64;
    c.bench_function("metrics/plain integer", |b| b.iter(|| plain = black_box(plain).wrapping_add(1)));
    let handle = metrics::counter!("packets");
    c.bench_function("metrics/cached handle", |b| b.iter(|| black_box(&handle).increment(1)));
    c.bench_function("metrics/by name", |b| b.iter(|| metrics::counter!("packets").increment(1)));
}

/// Encrypting and authenticating 160 bytes as SRTP does, without the bookkeeping.
fn srtp(c: &mut Criterion) {
    let packet = [0x5a_u8; 172];
    c.bench_function("srtp/AES_CM_128_HMAC_SHA1_80 on RustCrypto", |b| {
        let key = Hmac::<Sha1>::new_from_slice(&[7; 20]).expect("any key length");
        let mut bytes = packet;
        b.iter(|| {
            ctr::Ctr128BE::<Aes128>::new(&[3; 16].into(), &[4; 16].into()).apply_keystream(&mut bytes[12..]);
            let mut tag = key.clone();
            tag.update(&bytes);
            tag.update(&[0; 4]);
            black_box(tag.finalize().into_bytes())
        });
    });
    c.bench_function("srtp/AEAD_AES_128_GCM on aws-lc-rs", |b| {
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[3; 16]).expect("a key"));
        let mut bytes = packet;
        b.iter(|| {
            let (header, payload) = bytes.split_at_mut(12);
            let nonce = Nonce::assume_unique_for_key([9; 12]);
            black_box(key.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload).expect("a short packet"))
        });
    });
}

/// 20 ms of Opus at 48 kHz, 24 kb/s.
fn opus(c: &mut Criterion) {
    use opus::{Application, Bitrate, Channels, Decoder, Encoder};
    let mut encoder = Encoder::new(48_000, Channels::Mono, Application::Voip).expect("an encoder");
    encoder.set_bitrate(Bitrate::Bits(24_000)).expect("a bit rate");
    encoder.set_complexity(5).expect("a complexity");
    let mut seed = 1_u32;
    let samples: Vec<i16> = (0..960)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 20) as i16 - 2048
        })
        .collect();
    let mut coded = [0; 1000];
    let length = encoder.encode(&samples, &mut coded).expect("20 ms");
    c.bench_function("opus/encode 20 ms", |b| b.iter(|| encoder.encode(black_box(&samples), &mut coded)));
    let mut decoder = Decoder::new(48_000, Channels::Mono).expect("a decoder");
    let packet = coded[..length].to_vec();
    let mut out = [0_i16; 960];
    c.bench_function("opus/decode 20 ms", |b| b.iter(|| decoder.decode(black_box(&packet), &mut out, false)));
}

/// One INVITE: parsed, and its To, From, Via and CSeq read.
fn sip_parsers(c: &mut Criterion) {
    use rsip::headers::ToTypedHeader;
    use rsip::prelude::HeadersExt;
    c.bench_function("sip/rsip parse and read", |b| {
        b.iter(|| {
            let message = rsip::SipMessage::try_from(black_box(INVITE)).expect("an INVITE");
            let via = message.via_header().expect("Via").clone().typed().expect("Via");
            let to = message.to_header().expect("To").clone().typed().expect("To");
            let from = message.from_header().expect("From").clone().typed().expect("From");
            let cseq = message.cseq_header().expect("CSeq").clone().typed().expect("CSeq");
            black_box((via, to, from, cseq))
        });
    });
    c.bench_function("sip/our own parse and read", |b| {
        b.iter(|| {
            let message = sip::message::Message::parse_datagram(black_box(INVITE.as_bytes())).expect("an INVITE");
            let sip::message::Message::Request(request) = message else { unreachable!("an INVITE is a request") };
            black_box((request.top_via(), request.to_header(), request.from(), request.cseq()))
        });
    });
}

/// Handing work to another thread, and sharing a buffer.
fn plumbing(c: &mut Criterion) {
    let (sender, receiver) = crossbeam::channel::bounded::<u64>(1024);
    c.bench_function("crossbeam/channel send and receive", |b| {
        b.iter(|| {
            sender.send(1).expect("room");
            black_box(receiver.recv())
        });
    });
    let queue = crossbeam::queue::ArrayQueue::new(1024);
    c.bench_function("crossbeam/ArrayQueue push and pop", |b| {
        b.iter(|| {
            queue.push(1_u64).expect("room");
            black_box(queue.pop())
        });
    });
    let buffer = Bytes::from(vec![0; 1500]);
    c.bench_function("bytes/clone and slice", |b| b.iter(|| black_box(buffer.clone().slice(12..))));
}

/// A STUN binding request, as the chosen ICE library reads it.
fn ice(c: &mut Criterion) {
    use is::stun::StunMessage;
    let request = [
        0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ];
    c.bench_function("ice/STUN parse by is", |b| b.iter(|| black_box(StunMessage::parse(black_box(&request)).is_ok())));
}

criterion_group!(card, metrics, srtp, opus, sip_parsers, plumbing, ice);
criterion_main!(card);
