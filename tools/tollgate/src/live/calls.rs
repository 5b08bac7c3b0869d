//! `tollgate calls`: the calls of a running engine, or one of them in full.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::Engine;
use super::ng::Client;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    engine: Engine,
    /// The call to show in full; without one all calls are listed
    id: Option<String>,
    /// Print JSON: an array of call-ids, or the engine's report of one call
    #[arg(long)]
    json: bool,
    /// Calls to list at most
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let mut client = Client::new(options.engine.ng)?;
    match options.id {
        None => {
            let answer = client.ask(&json!({"command": "list", "limit": options.limit}))?;
            if options.json {
                println!("{}", answer["calls"]);
            } else {
                for call_id in answer["calls"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    println!("{}", printable(call_id));
                }
            }
        }
        Some(call_id) => {
            let report = client.ask(&json!({"command": "query", "call-id": call_id}))?;
            if options.json {
                println!("{report}");
            } else {
                print!("{}", lines(&report));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A report as lines: parties, their media, and what came from where.
fn lines(report: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => printable(text),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let mut out =
        format!("created {}  last signal {}\n", text(&report["created"]), text(&report["last signal"]));
    for (tag, party) in report["tags"].as_object().into_iter().flatten() {
        out += &format!("party {}\n", printable(tag));
        for media in party["medias"].as_array().into_iter().flatten() {
            out += &format!(
                "  {} {} {} codec {}\n",
                text(&media["index"]),
                text(&media["type"]),
                text(&media["protocol"]),
                text(&media["codec"]),
            );
            for stream in media["streams"].as_array().into_iter().flatten() {
                let endpoint = &stream["endpoint"];
                let stats = &stream["stats"];
                out += &format!(
                    "    local port {}  endpoint {}:{}  SSRC {}  packets {}  bytes {}  dropped {}\n",
                    text(&stream["local port"]),
                    text(&endpoint["address"]),
                    text(&endpoint["port"]),
                    text(&stream["SSRC"]),
                    text(&stats["packets"]),
                    text(&stats["bytes"]),
                    text(&stats["errors"]),
                );
            }
        }
    }
    for (ssrc, heard) in report["SSRC"].as_object().into_iter().flatten() {
        out += &format!(
            "source {ssrc}  packets {}  lost {}  MOS x10 {}\n",
            text(&heard["packets"]),
            text(&heard["cumulative loss"]),
            text(&heard["average MOS"]["MOS"]),
        );
    }
    out
}

/// A stranger's text: nothing in it may move the cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_told_in_lines() {
        let report = json!({
            "created": 5, "last signal": 6,
            "tags": {"a\u{7}": {"medias": [{"index": 1, "type": "audio", "protocol": "RTP/AVP", "streams": [
                {"local port": 2, "endpoint": {"address": "192.0.2.1", "port": 3}, "SSRC": 4,
                 "stats": {"packets": 5, "bytes": 6, "errors": 7}}]}]}},
            "SSRC": {"4": {"packets": 5, "cumulative loss": 1, "average MOS": {"MOS": 43}}},
        });
        let text = lines(&report);
        assert!(text.contains("party a?\n  1 audio RTP/AVP codec -\n"), "{text}");
        assert!(text.contains("endpoint 192.0.2.1:3  SSRC 4  packets 5  bytes 6  dropped 7\n"), "{text}");
        assert!(text.ends_with("source 4  packets 5  lost 1  MOS x10 43\n"), "{text}");
    }
}
