//! What a DTLS handshake costs each of its ends, and what it leaves in memory.

#[path = "handshakes.rs"]
mod handshakes;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use handshakes::{NOW, PAIRS, Parties};
use rtp::dtls::{Association, LINGER};

/// CPU of one end, from its making to its keys; the other end's is not counted.
fn handshakes(criterion: &mut Criterion) {
    let parties = Parties::new();
    let mut group = criterion.benchmark_group("dtls");
    for (client, server) in PAIRS {
        for (index, role) in ["client", "server"].into_iter().enumerate() {
            group.bench_function(format!("{client}-to-{server}/{role}"), |bencher| {
                bencher.iter_custom(|count| {
                    let shake = |_| black_box(parties.shake(client, server)).took[index];
                    (0..count).map(shake).sum::<Duration>()
                });
            });
        }
    }
    group.finish();
}

/// Resident memory of associations that have their keys, and what stays of one whose library was let go.
fn memory(_criterion: &mut Criterion) {
    const COUNT: usize = 400;
    let parties = Parties::new();
    // Those of one pair stay while the next are made, which would otherwise find their room.
    let mut kept: Vec<Association> = Vec::new();
    for (client, server) in PAIRS {
        kept.extend(parties.shake(client, server).ends);
        let (before, ends) = (resident_bytes(), kept.len());
        kept.extend((0..COUNT).flat_map(|_| {
            let shaken = parties.shake(client, server);
            black_box(&shaken.keys);
            shaken.ends
        }));
        let each = (resident_bytes() - before) / (kept.len() - ends);
        println!("dtls/{client}-to-{server}: {each} bytes resident an end with its library");
    }
    for end in &mut kept {
        end.handle_timeout(NOW + LINGER);
        assert_eq!(end.next_deadline(), None, "its library is gone");
    }
    println!("dtls: {} bytes an end without it", size_of::<Association>());
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("the kernel tells");
    let pages: usize =
        statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}

criterion_group!(benches, handshakes, memory);
criterion_main!(benches);
