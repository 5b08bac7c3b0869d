//! What control does for a call, without its store: an INVITE read and written, a number rated, a call charged.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ledger::{Amount, Currency, Prefix, Rate, Tariff};
use sip::Message;

const INVITE: &str = "INVITE sip:+4930123456@gw.example.com;transport=tls SIP/2.0\r\n\
    Via: SIP/2.0/TLS 192.0.2.10:5061;rport;branch=z9hG4bK776asdhds\r\nMax-Forwards: 70\r\n\
    From: \"Alice\" <sip:alice@example.com>;tag=1928301774\r\nTo: <sip:+4930123456@example.com>\r\n\
    Call-ID: a84b4c76e66710@192.0.2.10\r\nCSeq: 314159 INVITE\r\nContact: <sip:alice@192.0.2.10:5061;transport=tls>\r\n\
    Allow: INVITE, ACK, CANCEL, BYE, UPDATE, OPTIONS\r\nSupported: replaces, outbound\r\nUser-Agent: bench\r\n\
    Content-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n";

fn sip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sip");
    group.throughput(Throughput::Bytes(INVITE.len() as u64));
    group.bench_function("read an INVITE", |bencher| {
        bencher.iter(|| Message::parse_datagram(black_box(INVITE.as_bytes())).expect("well formed"));
    });
    group.finish();
}

fn money(criterion: &mut Criterion) {
    let price: Amount = "0.012".parse().expect("an amount");
    let currency: Currency = "EUR".parse().expect("a currency");
    // Every prefix of four digits, as a carrier's list of codes is dense.
    let rates = (1000..10_000).map(|code: u32| {
        let prefix: Prefix = code.to_string().parse().expect("digits");
        Rate::per_minute(prefix, price).expect("a price")
    });
    let tariff = Tariff::flat("bench", currency, rates).expect("no prefix is there twice");
    let mut group = criterion.benchmark_group("money");
    group.bench_function("rate a number among 9000 prefixes", |bencher| {
        bencher.iter(|| tariff.rate_at(black_box("+4930123456"), 0).is_some());
    });
    let rate = tariff.rate_at("4930123456", 0).expect("a rate").price(None);
    group.bench_function("charge a call", |bencher| bencher.iter(|| rate.charge(black_box(61_234))));
    let available: Amount = "10".parse().expect("an amount");
    group.bench_function("what a balance affords", |bencher| {
        bencher.iter(|| rate.hold_for(black_box(available), 3600));
    });
    group.finish();
}

criterion_group!(benches, sip, money);
criterion_main!(benches);
