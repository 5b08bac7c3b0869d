//! The engine's core without its kernel: one packet relayed, one offer read, negotiated and rewritten.

mod one_call;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use one_call::{OneCall, SDP, packet};
use rtp::sdp::Sdp;

fn relay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("shard");
    group.throughput(Throughput::Elements(1));
    let (mut call, mut packet) = (OneCall::new(), packet());
    group.bench_function("relay one packet", |bencher| bencher.iter(|| call.relay(black_box(&mut packet))));
    assert_eq!(call.counters().drops_total(), 0, "what is timed is a relayed packet");
    let mut call = OneCall::new();
    group.bench_function("offer again", |bencher| bencher.iter(|| call.signal(black_box("offer"))));
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
