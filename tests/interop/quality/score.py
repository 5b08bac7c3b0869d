#!/usr/bin/env python3
"""Loss, jitter and opinion score of every RTP stream in a capture, from what tshark says of each packet.

Written from RFC 3550 and ITU-T G.107 (06/2015), G.107.1 and G.113 Appendices I and IV, as a second opinion on the engine:
it shares nothing with it but the assumptions that the engine's records state (delay, jitter buffer), which are arguments.

    score.py CAPTURE --delay-ms 100 --buffer-ms 60 PT=CODEC/CLOCK ...

prints one JSON object: {"SSRC": {"port": ..., "received": ..., "expected": ..., "lost": ..., "late": ..., "jitter_ms": ...,
"burst_ratio": ..., "mos": ...}}.
"""

import argparse
import json
import math
import subprocess
from decimal import Decimal

# Ie and Bpl of G.113 Appendix I for the narrow-band scale (packet loss concealed), Ie,WB and Bpl,WB of Appendix IV for the wide-band
# one. Opus is in neither: the values are those that the engine's table declares approximate.
CODECS = {
    "PCMA": ("narrow", 0.0, 25.1),
    "PCMU": ("narrow", 0.0, 25.1),
    "G729": ("narrow", 11.0, 19.0),
    "G722": ("wide", 13.0, 4.9),
    "opus": ("wide", 8.0, 12.0),
}
EVENTS = {"telephone-event", "CN"}


def packets(capture):
    """(arrival in seconds, port, SSRC, sequence number, timestamp, payload type, marker), in order of arrival."""
    fields = ["frame.time_epoch", "udp.dstport", "rtp.ssrc", "rtp.seq", "rtp.timestamp", "rtp.p_type", "rtp.marker"]
    command = ["tshark", "-n", "-r", capture, "-d", "udp.port==20000-31998,rtp", "-Y", "rtp", "-T", "fields"]
    for field in fields:
        command += ["-e", field]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = []
    for line in output.splitlines():
        time, port, ssrc, seq, timestamp, payload_type, marker = line.split("\t")
        marked = marker.lower() in ("1", "true")
        rows.append((Decimal(time), int(port), int(ssrc, 0), int(seq), int(timestamp), int(payload_type), marked))
    rows.sort(key=lambda row: row[0])
    return rows


def unwrapped(values, bits):
    """Numbers that wrap, as numbers that do not."""
    size = 1 << bits
    result = []
    for value in values:
        if not result:
            result.append(value)
            continue
        step = (value - result[-1]) % size
        if step >= size // 2:
            step -= size
        result.append(result[-1] + step)
    return result


def jitter(arrivals, timestamps, clock):
    """Interarrival jitter in ticks (RFC 3550, section 6.4.1): J += (|D| - J) / 16."""
    estimate = 0.0
    before = None
    for arrival, timestamp in zip(arrivals, timestamps):
        transit = float(arrival) * clock - timestamp
        if before is not None:
            estimate += (abs(transit - before) - estimate) / 16
        before = transit
    return estimate


def late_ones(arrivals, timestamps, markers, clock, buffer_s):
    """Which packets come after their time: the assumed buffer plays buffer_s behind the quickest packet of the last four
    seconds, and where a talk spurt begins late it begins anew."""
    late = []
    window = []
    for arrival, timestamp, marker in zip(arrivals, timestamps, markers):
        transit = float(arrival) - timestamp / clock
        window = [(at, other) for at, other in window if float(arrival) - at <= 4.0]
        behind = transit - min((other for _, other in window), default=transit)
        is_late = behind > buffer_s
        if is_late and marker:
            window, is_late = [], False
        window.append((float(arrival), transit))
        late.append(is_late)
    return late


def burst_ratio(played):
    """BurstR (G.107, section 3.5): mean run of missing packets by that of random loss of the same share, 1 / (1 - p)."""
    runs = [len(run) for run in "".join("1" if there else "0" for there in played).split("1") if run]
    if not runs:
        return 1.0
    share = sum(runs) / len(played)
    return min(max(sum(runs) / len(runs) * (1.0 - share), 1.0), 8.0)


def delay_impairment(ta):
    """Id of G.107 section 7.4 with the default values of its table 2 (TELR 65 dB, WEPL 110 dB, T = Ta, Tr = 2 Ta)."""
    ro, no, rlr, telr, wepl = 94.7688, -61.1792, 2.0, 65.0, 110.0
    idte = 0.0
    if ta >= 1.0:
        terv = telr - 40.0 * math.log10((1.0 + ta / 10.0) / (1.0 + ta / 150.0)) + 6.0 * math.exp(-0.3 * ta**2)
        roe = -1.5 * (no - rlr)
        re = 80.0 + 2.5 * (terv - 14.0)
        idte = ((roe - re) / 2.0 + math.sqrt((roe - re) ** 2 / 4.0 + 100.0) - 1.0) * (1.0 - math.exp(-ta))
    rle = 10.5 * (wepl + 7.0) * (2.0 * ta + 1.0) ** -0.25
    idle = (ro - rle) / 2.0 + math.sqrt((ro - rle) ** 2 / 4.0 + 169.0)
    return idte + idle + pure_delay(ta)


def pure_delay(ta):
    """Idd of G.107 section 7.4."""
    if ta <= 100.0:
        return 0.0
    x = math.log10(ta / 100.0) / math.log10(2.0)
    return 25.0 * ((1.0 + x**6) ** (1 / 6) - 3.0 * (1.0 + (x / 3.0) ** 6) ** (1 / 6) + 2.0)


def opinion(codec, loss_percent, burst, ta):
    """Mean opinion score (G.107 Annex B; G.107.1 Annex A for the wide-band scale)."""
    scale, ie, bpl = CODECS[codec]
    if scale == "narrow":
        # Ro - Is with all default values is 94.7688 - 1.4136 (G.107, section 7.7).
        effective = ie + (95.0 - ie) * loss_percent / (loss_percent / burst + bpl)
        rating = 94.7688 - 1.4136 - delay_impairment(ta) - effective
    else:
        effective = ie + (95.0 - ie) * loss_percent / (loss_percent + bpl)
        rating = (129.0 - pure_delay(ta) - effective) / 1.29
    if rating <= 0.0:
        return 1.0
    if rating >= 100.0:
        return 4.5
    return max(1.0, 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6)


def judged(rows, types, delay_ms, buffer_ms):
    """The figures of one stream."""
    sequence = unwrapped([row[3] for row in rows], 16)
    timestamps = unwrapped([row[4] for row in rows], 32)
    speech = [index for index, row in enumerate(rows) if types[row[5]][0] not in EVENTS]
    codec, clock = types[rows[speech[-1]][5]]
    pick = lambda values: [values[index] for index in speech]
    arrivals, stamps = pick([row[0] - rows[0][0] for row in rows]), pick(timestamps)
    late = late_ones(arrivals, stamps, pick([row[6] for row in rows]), clock, buffer_ms / 1000.0)
    too_late = {sequence[index] for index, is_late in zip(speech, late) if is_late}
    there = set(sequence)
    span = range(min(there), max(there) + 1)
    played = [number in there and number not in too_late for number in span]
    burst = burst_ratio(played)
    percent = 100.0 * played.count(False) / len(played)
    return {
        "port": rows[0][1],
        "received": len(rows),
        "expected": len(span),
        "lost": len(span) - len(there),
        "late": len(too_late),
        "jitter_ms": jitter(arrivals, stamps, clock) * 1000.0 / clock,
        "burst_ratio": burst,
        "mos": opinion(codec, percent, burst, delay_ms),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture")
    parser.add_argument("--delay-ms", type=float, required=True)
    parser.add_argument("--buffer-ms", type=float, required=True)
    parser.add_argument("types", nargs="+", metavar="PT=CODEC/CLOCK")
    arguments = parser.parse_args()
    types = {}
    for text in arguments.types:
        number, meaning = text.split("=")
        codec, clock = meaning.split("/")
        types[int(number)] = (codec, int(clock))
    streams = {}
    for row in packets(arguments.capture):
        streams.setdefault(row[2], []).append(row)
    report = {ssrc: judged(rows, types, arguments.delay_ms, arguments.buffer_ms) for ssrc, rows in streams.items()}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
