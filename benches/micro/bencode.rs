//! The cost of one NG message: an `offer` as Kamailio sends it, read and written in both encodings.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ng::{Encoding, Value, bencode, json, read_document};

const SDP: &str = "v=0\r\no=- 1732300000 1732300000 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";

fn offer() -> Value<'static> {
    let list = |items: &[&'static str]| Value::List(items.iter().map(|item| Value::text(*item)).collect());
    let entries = [
        ("supports", list(&["load limit"])),
        ("sdp", Value::text(SDP)),
        ("flags", list(&["trust-address"])),
        ("replace", list(&["origin", "session-connection"])),
        ("call-id", Value::text("1-2345@192.0.2.10")),
        ("received-from", list(&["IP4", "192.0.2.10"])),
        ("from-tag", Value::text("as7d9f87")),
        ("command", Value::text("offer")),
    ];
    Value::Dictionary(entries.into_iter().map(|(key, value)| (key.as_bytes().into(), value)).collect())
}

fn messages(criterion: &mut Criterion) {
    let offer = offer();
    for (name, encoding) in [("bencode", Encoding::Bencode), ("json", Encoding::Json)] {
        let mut document = Vec::new();
        encoding.write(&offer, &mut document);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_function("tree", |bencher| {
            bencher.iter(|| match encoding {
                Encoding::Bencode => bencode::parse(black_box(&document)).expect("well formed").0,
                Encoding::Json => json::parse(black_box(&document)).expect("well formed"),
            });
        });
        group.bench_function("request", |bencher| {
            bencher.iter(|| read_document(black_box(&document)).1.expect("an offer"));
        });
        group.bench_function("write", |bencher| {
            let mut out = Vec::with_capacity(document.len());
            bencher.iter(|| {
                out.clear();
                encoding.write(black_box(&offer), &mut out);
                out.len()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, messages);
criterion_main!(benches);
