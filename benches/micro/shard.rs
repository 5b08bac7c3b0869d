//! The engine's core without its kernel: one packet relayed, one offer read, negotiated and rewritten.

mod calls;

use std::hint::black_box;

use calls::{Calls, SDP, packet};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rtp::sdp::Sdp;
use rtp::srtp::Suite;

/// Calls at once, as in the relay bench.
const CALLS: usize = 500;
const STEP: usize = 211;

fn relay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("shard");
    group.throughput(Throughput::Elements(1));
    let (mut call, mut packet) = (Calls::new(1), packet());
    group.bench_function("relay one packet", |bencher| bencher.iter(|| call.relay(0, black_box(&packet))));
    assert_eq!(call.counters().drops_total(), 0, "what is timed is a relayed packet");
    let mut call = Calls::new(1);
    call.record();
    group.bench_function("relay and record one packet", |bencher| {
        bencher.iter(|| call.relay(0, black_box(&packet)));
    });
    let mut call = Calls::encrypted(Suite::AesCm128HmacSha1_80);
    let mut sequence = 0_u16;
    group.bench_function("relay and encrypt one packet", |bencher| {
        bencher.iter(|| {
            // One index is encrypted once.
            sequence = sequence.wrapping_add(1);
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            call.relay(0, black_box(&packet))
        });
    });
    assert_eq!(call.counters().drops_total(), 0, "what is timed is an encrypted packet");
    let mut call = Calls::new(1);
    group.bench_function("offer again", |bencher| bencher.iter(|| call.signal(0, black_box("offer"))));
    let (mut calls, mut next) = (Calls::new(CALLS), 0);
    group.bench_function("relay one packet of many calls", |bencher| {
        bencher.iter(|| {
            // A step without a common factor: neighbours in memory are not neighbours in time.
            next = (next + STEP) % CALLS;
            calls.relay(next, black_box(&packet))
        });
    });
    group.finish();
}

fn sdp(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sdp");
    group.throughput(Throughput::Bytes(SDP.len() as u64));
    group.bench_function("read", |bencher| bencher.iter(|| Sdp::parse(black_box(SDP.as_bytes()))));
    let read = Sdp::parse(SDP.as_bytes()).expect("a description");
    group.bench_function("write", |bencher| bencher.iter(|| black_box(&read).to_bytes()));
    group.finish();
}

criterion_group!(benches, relay, sdp);
criterion_main!(benches);
