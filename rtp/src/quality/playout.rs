//! Whether a packet came in time to be played, from an assumed jitter buffer.

/// The jitter buffer that is assumed behind us: a packet that comes more than so much later than
/// the earliest ones do is not played.
pub const BUFFER_MS: u32 = 60;

/// The assumed buffer finds its place anew within two of these: it plays [`BUFFER_MS`] after the
/// earliest packets of the last two. A clock that drifts or a path that changes costs no more.
const WINDOW_MS: u32 = 2000;

/// The assumed jitter buffer of one source.
///
/// It delays by [`BUFFER_MS`] what came with the least transit time of the last four seconds, and
/// finds its place anew when a talk spurt begins, as real ones do.
///
/// # Memory
/// One value of fixed size.
#[derive(Debug, Clone, Default)]
pub struct Playout {
    began: bool,
    /// When the present window began, in ticks.
    window_start: u32,
    /// Least transit times of the present window and of the one before it.
    least: [u32; 2],
}

impl Playout {
    /// Forgets what was learned: another clock, another source.
    pub const fn reset(&mut self) {
        self.began = false;
    }

    /// Whether a packet comes too late to be played. `arrived` is its arrival, `transit` that minus
    /// its timestamp, both in ticks of `hz`, wrapping; `marked` is its marker bit.
    pub fn is_late(&mut self, arrived: u32, transit: u32, hz: u32, marked: bool) -> bool {
        let ticks = |ms: u32| i64::from(ms) * i64::from(hz) / 1000;
        let since = i64::from(arrived.wrapping_sub(self.window_start));
        if !self.began || since >= 2 * ticks(WINDOW_MS) {
            (self.began, self.window_start, self.least) = (true, arrived, [transit; 2]);
            return false;
        }
        if since >= ticks(WINDOW_MS) {
            self.window_start = arrived;
            self.least = [transit, self.least[0]];
        } else if after(transit, self.least[0]) < 0 {
            self.least[0] = transit;
        }
        let behind = after(transit, self.least[0]).max(after(transit, self.least[1]));
        let late = i64::from(behind) > ticks(BUFFER_MS);
        if late && marked {
            self.least = [transit; 2];
            return false;
        }
        late
    }
}

/// How much later `one` is than `other`.
const fn after(one: u32, other: u32) -> i32 {
    one.wrapping_sub(other).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u32 = 8000;

    /// Which of the packets that come every 20 ms with these delays are late.
    fn late(delays_ms: &[u32]) -> Vec<bool> {
        let mut playout = Playout::default();
        let mut sent = 0u32.wrapping_sub(4000);
        let mut results = Vec::new();
        for delay in delays_ms {
            sent = sent.wrapping_add(160);
            results.push(playout.is_late(sent.wrapping_add(delay * 8), delay * 8, HZ, false));
        }
        results
    }

    #[test]
    fn packet_within_the_buffer_is_played_and_one_beyond_it_is_late() {
        assert_eq!(late(&[10, 70, 71, 10, 130, 9]), [false, false, true, false, true, false]);
    }

    #[test]
    fn first_packet_that_was_slow_does_not_make_room_for_slow_ones() {
        assert_eq!(late(&[100, 10, 90, 60]), [false, false, true, false]);
    }

    #[test]
    fn path_that_became_longer_is_followed_within_four_seconds() {
        let delays: Vec<u32> = [10; 100].into_iter().chain([200; 400]).collect();
        let results = late(&delays);
        let late = results.iter().filter(|late| **late).count();
        assert!((1..=200).contains(&late), "{late}");
        assert!(results[300..].iter().all(|late| !late));
    }

    #[test]
    fn talk_spurt_begins_where_it_begins() {
        let mut playout = Playout::default();
        assert!(!playout.is_late(0, 0, HZ, true));
        assert!(!playout.is_late(1600, 1600, HZ, true), "a sender whose clock stood still in silence");
        assert!(!playout.is_late(1760, 1600, HZ, false));
    }

    #[test]
    fn after_a_pause_it_learns_anew() {
        let mut playout = Playout::default();
        assert!(!playout.is_late(0, 0, HZ, false));
        assert!(!playout.is_late(HZ * 5, 4000, HZ, false));
        assert!(!playout.is_late(HZ * 5 + 160, 4000, HZ, false));
    }
}
