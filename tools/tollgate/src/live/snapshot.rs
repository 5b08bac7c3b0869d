//! How an engine stands at one moment.

use anyhow::Context;
use serde_json::{Value, json};

use super::ng::Client;

/// How an engine stands.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) uptime_s: u64,
    pub(super) calls: u64,
    pub(super) packets_per_s: u64,
    pub(super) bits_per_s: u64,
    pub(super) drops_per_s: u64,
    pub(super) workers: Vec<Worker>,
    /// The first calls by name.
    pub(super) sessions: Vec<Session>,
}

/// How one worker stands.
#[derive(Debug, Default)]
pub(super) struct Worker {
    pub(super) worker: u64,
    pub(super) calls: u64,
    pub(super) legs: u64,
    pub(super) packets_per_s: u64,
    pub(super) drops_per_s: u64,
    /// Thousandths of a processor.
    pub(super) cpu_permille: u64,
    /// Datagrams taken at once, in tenths, since the start.
    pub(super) batch_tenths: u64,
    /// Time between taking a batch and sending it on, nanoseconds, since the start.
    pub(super) delay_ns: u64,
}

/// One call.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) call_id: String,
    pub(super) age_s: u64,
    pub(super) parties: usize,
    pub(super) packets: u64,
    pub(super) errors: u64,
}

impl Snapshot {
    /// Asks for everything, with up to `sessions_max` calls.
    pub(super) fn take(client: &mut Client, sessions_max: usize) -> anyhow::Result<Self> {
        let answer = client.ask(&json!({"command": "statistics"}))?;
        let mut snapshot = Self::read(&answer["statistics"]).context("the engine is no tollgate engine")?;
        let list = client.ask(&json!({"command": "list", "limit": sessions_max}))?;
        let mut names: Vec<&str> =
            list["calls"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        names.sort_unstable();
        for call_id in names.into_iter().take(sessions_max) {
            // A call may have ended since it was listed.
            if let Ok(report) = client.ask(&json!({"command": "query", "call-id": call_id})) {
                snapshot.sessions.push(Session::read(call_id, &report));
            }
        }
        Ok(snapshot)
    }

    fn read(statistics: &Value) -> Option<Self> {
        let current = &statistics["currentstatistics"];
        let number = |name: &str| current[name].as_u64();
        let uptime = &statistics["totalstatistics"]["uptime"];
        Some(Self {
            uptime_s: uptime.as_str()?.parse().ok()?,
            calls: number("sessionstotal")?,
            packets_per_s: number("packetrate")?,
            bits_per_s: number("byterate")?.saturating_mul(8),
            drops_per_s: number("errorrate")?,
            workers: statistics["workers"].as_array()?.iter().map(Worker::read).collect(),
            sessions: Vec::new(),
        })
    }

    /// Everything as one object.
    pub(super) fn json(&self) -> Value {
        let workers: Vec<Value> = self.workers.iter().map(Worker::json).collect();
        let sessions: Vec<Value> = self.sessions.iter().map(Session::json).collect();
        json!({
            "uptime_seconds": self.uptime_s, "calls": self.calls, "packets_per_second": self.packets_per_s,
            "bits_per_second": self.bits_per_s, "drops_per_second": self.drops_per_s, "workers": workers,
            "sessions": sessions,
        })
    }

    /// One line about the engine as a whole.
    pub(super) fn headline(&self) -> String {
        format!(
            "up {}  calls {}  {} packets/s  {}.{:03} Mbit/s  {} drops/s",
            age(self.uptime_s),
            self.calls,
            self.packets_per_s,
            self.bits_per_s / 1_000_000,
            self.bits_per_s / 1000 % 1000,
            self.drops_per_s,
        )
    }
}

impl Worker {
    fn read(value: &Value) -> Self {
        let number = |name: &str| value[name].as_u64().unwrap_or_default();
        Self {
            worker: number("worker"),
            calls: number("calls"),
            legs: number("legs"),
            packets_per_s: number("packetrate"),
            drops_per_s: number("droprate"),
            cpu_permille: number("cpu_permille"),
            batch_tenths: number("batched").saturating_mul(10) / number("batches").max(1),
            delay_ns: number("delay_ns") / number("delays").max(1),
        }
    }

    fn json(&self) -> Value {
        json!({
            "worker": self.worker, "calls": self.calls, "legs": self.legs, "packets_per_second": self.packets_per_s,
            "drops_per_second": self.drops_per_s, "cpu_permille": self.cpu_permille,
            "batch_tenths": self.batch_tenths, "added_latency_ns": self.delay_ns,
        })
    }

    /// What stands in the columns of [`WORKER_COLUMNS`].
    pub(super) fn cells(&self) -> [String; 8] {
        [
            self.worker.to_string(),
            self.calls.to_string(),
            self.legs.to_string(),
            self.packets_per_s.to_string(),
            self.drops_per_s.to_string(),
            format!("{}.{} %", self.cpu_permille / 10, self.cpu_permille % 10),
            format!("{}.{}", self.batch_tenths / 10, self.batch_tenths % 10),
            format!("{}.{} µs", self.delay_ns / 1000, self.delay_ns / 100 % 10),
        ]
    }
}

impl Session {
    fn read(call_id: &str, report: &Value) -> Self {
        let parties: Vec<&Value> =
            report["tags"].as_object().into_iter().flat_map(|tags| tags.values()).collect();
        let streams = || {
            let medias = parties.iter().flat_map(|party| party["medias"].as_array().into_iter().flatten());
            medias.flat_map(|media| media["streams"].as_array().into_iter().flatten())
        };
        let sum = |name: &str| streams().filter_map(|stream| stream["stats"][name].as_u64()).sum();
        let created_s = report["created"].as_u64().unwrap_or_default();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self {
            call_id: call_id.to_owned(),
            age_s: now.as_secs().saturating_sub(created_s),
            parties: parties.len(),
            packets: sum("packets"),
            errors: sum("errors"),
        }
    }

    fn json(&self) -> Value {
        json!({
            "call_id": self.call_id, "age_seconds": self.age_s, "parties": self.parties, "packets": self.packets,
            "errors": self.errors,
        })
    }

    /// What stands in the columns of [`SESSION_COLUMNS`].
    pub(super) fn cells(&self) -> [String; 5] {
        // A call-id is a stranger's text: nothing in it may move the cursor.
        let name: String = self.call_id.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        [name, age(self.age_s), self.parties.to_string(), self.packets.to_string(), self.errors.to_string()]
    }
}

/// A time as hours, minutes and seconds.
pub(super) fn age(seconds: u64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Of workers.
pub(super) const WORKER_COLUMNS: [&str; 8] =
    ["worker", "calls", "legs", "packets/s", "drops/s", "cpu", "batch", "added latency"];

/// Of calls.
pub(super) const SESSION_COLUMNS: [&str; 5] = ["call", "age", "parties", "packets", "dropped"];

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn snapshot() -> Snapshot {
        let statistics = json!({
            "currentstatistics": {"sessionstotal": 3, "packetrate": 150, "byterate": 25800, "errorrate": 1},
            "totalstatistics": {"uptime": "3723"},
            "workers": [{"worker": 0, "calls": 3, "legs": 6, "packetrate": 150, "droprate": 1, "cpu_permille": 12,
                         "batches": 100, "batched": 150, "delays": 10, "delay_ns": 123_400}],
        });
        let mut snapshot = Snapshot::read(&statistics).expect("statistics");
        let report = json!({"created": 0, "tags": {"a": {"medias": [{"streams": [{"stats": {"packets": 7, "errors": 2}}]}]}}});
        snapshot.sessions.push(Session::read("one\u{1b}[2J@x", &report));
        snapshot
    }

    #[test]
    fn what_an_engine_tells_is_read() {
        let snapshot = snapshot();
        assert_eq!(snapshot.headline(), "up 1:02:03  calls 3  150 packets/s  0.206 Mbit/s  1 drops/s");
        assert_eq!(snapshot.workers[0].cells(), ["0", "3", "6", "150", "1", "1.2 %", "1.5", "12.3 µs"]);
        let cells = snapshot.sessions[0].cells();
        assert_eq!((cells[0].as_str(), cells[3].as_str(), cells[4].as_str()), ("one?[2J@x", "7", "2"));
        assert_eq!(snapshot.json()["workers"][0]["added_latency_ns"], 12_340);
    }
}
