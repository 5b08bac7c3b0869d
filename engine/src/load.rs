//! The load of the machine and of the engine, looked at once a second, and whether it leaves room for new calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ng::Refusal;

/// What may be reached before new calls are refused; what is not set is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadLimits {
    /// The load average of one minute. Default none.
    pub load_max: Option<f64>,
    /// How busy all processors of the machine are, in percent, whoever keeps them so. Default none.
    pub cpu_percent_max: Option<f64>,
    /// Bytes of media that arrive in a second. Default none.
    pub bytes_per_second_max: Option<u64>,
}

/// What a look found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) load: Option<f64>,
    pub(crate) cpu_percent: Option<f64>,
    pub(crate) bytes_per_second: u64,
}

/// Decides from look to look.
///
/// A limit is reached as rtpengine has it, at its value, and is over only below nine tenths of it: new calls stopped
/// bring the load down a little, and would be let in and out every second.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    over: [bool; 3],
}

impl Judge {
    /// Why new calls are refused after this look, if they are.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate beyond 2^52 bytes a second is beyond any limit too"
    )]
    pub(crate) fn judge(&mut self, limits: &LoadLimits, sample: &Sample) -> Option<Refusal> {
        let looks = [
            (Refusal::Load, sample.load, limits.load_max),
            (Refusal::Cpu, sample.cpu_percent, limits.cpu_percent_max),
            (
                Refusal::Bandwidth,
                Some(sample.bytes_per_second as f64),
                limits.bytes_per_second_max.map(|max| max as f64),
            ),
        ];
        for (over, (_, value, max)) in self.over.iter_mut().zip(&looks) {
            *over = match (value, max) {
                (Some(value), Some(max)) => *value >= if *over { max * EASED } else { *max },
                // What cannot be read keeps nobody out.
                _ => false,
            };
        }
        looks.into_iter().zip(self.over).find_map(|((reason, ..), over)| over.then_some(reason))
    }
}

/// Below this part of a limit it is over.
const EASED: f64 = 0.9;

/// What the kernel says of the machine.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// Ticks of all processors at the last look: all, and idle ones.
    last: Option<(u64, u64)>,
}

impl Machine {
    /// The load average, and how busy the processors were since the last look.
    pub(crate) fn look(&mut self) -> (Option<f64>, Option<f64>) {
        let read = |path| std::fs::read_to_string(path).ok();
        let load = read("/proc/loadavg").and_then(|text| load_of(&text));
        let ticks = read("/proc/stat").and_then(|text| ticks_of(&text));
        let busy = self.last.zip(ticks).and_then(|(last, now)| busy_percent(last, now));
        self.last = ticks;
        (load, busy)
    }
}

/// The average of one minute in `/proc/loadavg`.
fn load_of(text: &str) -> Option<f64> {
    text.split(' ').next()?.parse().ok()
}

/// All ticks and the idle ones of the first line of `/proc/stat` (proc(5)). Waiting for a disk is idling.
fn ticks_of(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    // What guests use is in what users use already.
    let ticks: Vec<u64> = line.split_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4).unwrap_or(&0);
    Some((ticks.iter().sum(), idle))
}

/// How busy the processors were between two looks; nothing if no time has passed.
#[expect(clippy::cast_precision_loss, reason = "ticks of a second are few")]
fn busy_percent(last: (u64, u64), now: (u64, u64)) -> Option<f64> {
    let all = now.0.checked_sub(last.0).filter(|all| *all > 0)?;
    let idle = now.1.saturating_sub(last.1).min(all);
    Some((all - idle) as f64 * 100.0 / all as f64)
}

/// How many bytes arrive at one worker in a second, for whoever has the other end.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    rate: Rate,
    /// Bytes at the last look, and when it was.
    last: (u64, u64),
}

/// What a [`Gauge`] found last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate(Arc<AtomicU64>);

impl Gauge {
    /// Where to read it.
    pub(crate) fn rate(&self) -> Rate {
        self.rate.clone()
    }

    /// So many bytes have arrived since the start. Whoever calls does so at least once a second or so.
    pub(crate) fn look(&mut self, now_ns: u64, bytes: u64) {
        let (bytes_before, at_ns) = self.last;
        let passed_ns = now_ns.saturating_sub(at_ns);
        if passed_ns < SECOND_NS {
            return;
        }
        self.last = (bytes, now_ns);
        let rate = u128::from(bytes - bytes_before) * u128::from(SECOND_NS) / u128::from(passed_ns);
        self.rate.0.store(u64::try_from(rate).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Rate {
    /// Bytes a second.
    pub(crate) fn bytes_per_second(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

const SECOND_NS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(load: f64, cpu: f64, bytes_per_second: u64) -> Sample {
        Sample { load: Some(load), cpu_percent: Some(cpu), bytes_per_second }
    }

    #[test]
    fn a_limit_is_reached_at_its_value_and_over_below_nine_tenths() {
        let limits = LoadLimits { cpu_percent_max: Some(80.0), ..LoadLimits::default() };
        let mut judge = Judge::default();
        let busy = [79.9, 80.0, 79.0, 72.1, 71.9, 79.9, 100.0];
        let found = busy.map(|cpu| judge.judge(&limits, &sample(9.0, cpu, 9)).is_some());
        assert_eq!(found, [false, true, true, true, false, false, true]);
    }

    #[test]
    fn the_first_limit_in_order_is_named_and_what_is_not_limited_never() {
        let all =
            LoadLimits { load_max: Some(4.0), cpu_percent_max: Some(50.0), bytes_per_second_max: Some(1000) };
        let judge = |limits: &LoadLimits, sample| Judge::default().judge(limits, &sample);
        assert_eq!(judge(&all, sample(4.0, 50.0, 1000)), Some(Refusal::Load));
        assert_eq!(judge(&all, sample(3.9, 50.0, 1000)), Some(Refusal::Cpu));
        assert_eq!(judge(&all, sample(3.9, 49.0, 1000)), Some(Refusal::Bandwidth));
        assert_eq!(judge(&all, sample(3.9, 49.0, 999)), None);
        assert_eq!(judge(&LoadLimits::default(), sample(1e9, 100.0, u64::MAX)), None);
        let unread = Sample { bytes_per_second: 999, ..Sample::default() };
        assert_eq!(judge(&all, unread), None, "what cannot be read keeps nobody out");
    }

    #[test]
    fn a_rate_is_of_the_time_that_passed() {
        let mut gauge = Gauge::default();
        let rate = gauge.rate();
        gauge.look(10 * SECOND_NS, 0);
        gauge.look(10 * SECOND_NS + 1, 900);
        assert_eq!(rate.bytes_per_second(), 0, "too early to say");
        gauge.look(12 * SECOND_NS, 3000);
        assert_eq!(rate.bytes_per_second(), 1500);
        gauge.look(13 * SECOND_NS, 3000);
        assert_eq!(rate.bytes_per_second(), 0);
    }

    #[test]
    fn the_kernel_s_tables_are_read() {
        assert_eq!(load_of("0.52 0.58 0.59 1/467 28513\n"), Some(0.52));
        let before = ticks_of("cpu  100 0 50 800 50 0 0 0 77 0\ncpu0 1 2 3\n").expect("a line of all");
        let after = ticks_of("cpu  160 0 80 850 60 0 0 0 99 0\n").expect("a line of all");
        assert_eq!((before, after), ((1000, 850), (1150, 910)));
        assert_eq!(busy_percent(before, after), Some(60.0));
        assert_eq!(busy_percent(after, after), None);
        let mut machine = Machine::default();
        let (load, busy) = machine.look();
        assert!(load.is_some_and(|load| load >= 0.0) && busy.is_none(), "nothing to compare with yet");
    }
}
