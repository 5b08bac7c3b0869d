//! What is observed of the streams of one party: each source apart, in constant memory, from the
//! packets themselves and from the RTCP that passes.
//!
//! While a packet passes nothing is allocated and no float is touched: scores are reckoned when an
//! interval ends or somebody asks.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use ng::DelayFrom;
use rtp::{
    packet::RtpPacket,
    quality::{BUFFER_MS, Conditions, Encoding, History, INTERVAL_S, Losses, Mos, Sample, Sound},
    rtcp::{Compound, ReportBlock, ReportBlocks, RtcpPacket},
    sdp::{MediaSection, Rtpmap},
    stats::{Arrival, StreamStats},
    units::{Instant, RtpTime, Ssrc},
};

use crate::{
    counters::Counters,
    media::{Media, Transport},
    path::{PathId, Paths},
    rtcp,
};

/// Sources of one party that are told apart; one more takes the place of the one heard last.
pub(crate) const STREAMS_MAX: usize = 4;

/// Streams in reserve for sources that nobody announced; made between packets, never while one passes.
const SPARES: usize = 64;

/// What is observed of one party's RTP half.
#[derive(Debug)]
pub(crate) struct Observer {
    /// Its payload types, as the last descriptions had them.
    formats: Box<[(u8, Encoding)]>,
    /// The source heard last first.
    streams: [Option<Box<Stream>>; STREAMS_MAX],
    /// For the first source.
    own: Option<Box<Stream>>,
    /// Losses of sources that gave way.
    given_way: Losses,
    /// Round trip between us and the party by its RTCP.
    round_trip: Option<Duration>,
    first_packet: Option<Instant>,
    /// Its descriptions allow it to send nothing in silence.
    may_pause: bool,
    next_sample: Option<Instant>,
    /// What the detectors remember of it.
    pub(crate) watch: Watch,
}

/// What the detectors remember of one party's RTP half.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Watch {
    /// Since when it ought to send; `None` while it need not.
    pub(crate) due_since: Option<Instant>,
    /// It was seen to be on time, or was reported as late.
    pub(crate) began: bool,
    /// Reported as silent.
    pub(crate) silent: bool,
    /// Reported as silent together with all others.
    pub(crate) all_silent: bool,
    /// Reported as what the other party was sent.
    pub(crate) looped: Option<u32>,
    /// Reported as the source of two parties.
    pub(crate) collided: Option<u32>,
    /// Jumps of the current source at the last check.
    pub(crate) jumps: u32,
    /// Checks in a row that saw many of them.
    pub(crate) jumping: u8,
}

/// One source of one party.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) stats: StreamStats,
    history: History,
    began: Instant,
    began_wall_ms: u64,
    /// What was expected and lost when the last interval ended.
    sampled: Losses,
    pub(crate) timestamp: RtpTime,
    payload_type: u8,
    encoding: Encoding,
    /// The last encoding that was speech, which is what is rated.
    speech: Encoding,
    /// Its last packet says that it falls silent.
    paused: bool,
    /// It has fallen silent before and come back with a marker.
    pauses: bool,
}

/// Streams in reserve.
pub(crate) type Spares = Vec<Box<Stream>>;

/// Delay from mouth to ear, where it comes from, and the round trips it is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delay {
    pub(crate) ms: u32,
    pub(crate) from: DelayFrom,
    pub(crate) round_trip: Option<Duration>,
    pub(crate) round_trip_leg: Option<Duration>,
}

/// One way through the network where RTCP does not tell: 20 ms.
const NETWORK_MS: u32 = 20;
/// What a sender takes to fill a packet: 20 ms.
const PACKET_MS: u32 = 20;
/// A longer round trip is a wrong clock.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);
/// An RTP header without contributing sources (RFC 3550 §5.1).
const HEADER_BYTES: u64 = 12;
/// A gap that a marker ends is a pause from this on.
const PAUSE_MIN: Duration = Duration::from_millis(200);

impl Stream {
    fn new() -> Self {
        Self {
            stats: StreamStats::new(),
            history: History::default(),
            began: Instant::ZERO,
            began_wall_ms: 0,
            sampled: Losses::default(),
            timestamp: RtpTime(0),
            // No payload type, so that the first packet looks its own up.
            payload_type: u8::MAX,
            encoding: Encoding::UNKNOWN,
            speech: Encoding::UNKNOWN,
            paused: false,
            pauses: false,
        }
    }

    /// What its clock shows now, by its last packet; that packet's time if the clock is not steady.
    pub(crate) fn timestamp_at(&self, now: Instant) -> RtpTime {
        let since = self.stats.last_arrival().map_or(Duration::ZERO, |at| now.saturating_since(at));
        let ticks = self.encoding.steady_clock().map_or(0, |clock| clock.ticks_in(since));
        self.timestamp.wrapping_add(u32::try_from(ticks & u64::from(u32::MAX)).unwrap_or(0))
    }

    /// Packets, and bytes without their headers, as a sender report counts them.
    pub(crate) fn sent(&self) -> (u32, u32) {
        let (packets, bytes) = (self.stats.packets(), self.stats.bytes());
        let wrapped = |count: u64| u32::try_from(count & u64::from(u32::MAX)).unwrap_or(0);
        (wrapped(packets), wrapped(bytes.saturating_sub(packets * HEADER_BYTES)))
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.stats.ssrc().map_or(0, |ssrc| ssrc.0)
    }

    /// When its first packet arrived.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// The last encoding, preferably of speech.
    pub(crate) fn codec(&self) -> Option<Cow<'static, str>> {
        let encoding = if self.speech == Encoding::UNKNOWN { self.encoding } else { self.speech };
        encoding.text().map(Cow::Borrowed)
    }

    /// The score of some losses; `None` if it is no speech, or nobody knows what it costs.
    pub(crate) fn score(&self, losses: Losses, delay: Delay) -> Option<Mos> {
        let Sound::Speech(impairment) = self.speech.sound() else { return None };
        Some(Mos::of(&Conditions {
            impairment,
            loss: losses.share(),
            burst_ratio: losses.burst_ratio(),
            delay_ms: delay.ms.into(),
        }))
    }

    /// The time since the last interval ended, as a sample; `None` if nothing was expected in it.
    fn sample(&self, now: Instant, delay: Delay) -> Option<Sample> {
        let losses = self.stats.losses().since(self.sampled);
        if losses.expected == 0 {
            return None;
        }
        let tenths = |span: Option<Duration>| {
            span.map_or(0, |span| u16::try_from(span.as_micros() / 100).unwrap_or(u16::MAX))
        };
        let percent = (losses.lost.min(losses.expected) * 100 + losses.expected / 2) / losses.expected;
        // The interval that ends now, not the one that begins.
        let age = now.saturating_since(self.began).saturating_sub(Duration::from_nanos(1)).as_secs();
        Some(Sample {
            interval: u16::try_from(age / u64::from(INTERVAL_S)).unwrap_or(u16::MAX),
            mos_hundredths: self.score(losses, delay).map_or(0, Mos::hundredths),
            round_trip: tenths(delay.round_trip),
            round_trip_leg: tenths(delay.round_trip_leg),
            jitter_ms: u16::try_from(self.stats.jitter().as_millis()).unwrap_or(u16::MAX),
            loss_percent: u8::try_from(percent).unwrap_or(100),
        })
    }

    /// Its samples, the one of an interval that is not over included where it matters.
    pub(crate) fn history(&self, now: Instant, delay: Delay) -> History {
        let mut history = self.history.clone();
        if history.samples() == 0 || self.stats.losses().since(self.sampled).expected >= SAMPLE_PACKETS_MIN {
            self.sample(now, delay).into_iter().for_each(|sample| history.add(sample));
        }
        history
    }

    /// Wall clock at the end of an interval, in seconds since the Unix epoch; of one that is not over,
    /// that of the last packet.
    pub(crate) fn wall_s(&self, interval: u16) -> u64 {
        let heard =
            self.stats.last_arrival().map_or(Duration::ZERO, |last| last.saturating_since(self.began));
        let end = (u64::from(interval) + 1) * u64::from(INTERVAL_S);
        self.began_wall_ms / 1000 + end.min(heard.as_secs() + 1)
    }

    fn observe(&mut self, packet: &RtpPacket<'_>, formats: &[(u8, Encoding)], now: Instant, bytes: usize) {
        let payload_type = packet.payload_type().get();
        if payload_type != self.payload_type {
            self.payload_type = payload_type;
            self.encoding = encoding(formats, payload_type);
            if matches!(self.encoding.sound(), Sound::Speech(_)) {
                self.speech = self.encoding;
            }
        }
        let (marker, clock_rate) = (packet.marker(), self.encoding.steady_clock());
        if marker && clock_rate.is_some() {
            let gap = self.stats.last_arrival().map(|before| now.saturating_since(before));
            let follows =
                self.stats.highest_seq().is_some_and(|seq| seq.seq().wrapping_add(1) == packet.seq());
            self.pauses |= follows && gap.is_some_and(|gap| gap >= PAUSE_MIN);
        }
        self.paused = self.encoding.falls_silent(packet.payload().len());
        self.timestamp = packet.timestamp();
        self.stats.on_packet(&Arrival {
            at: now,
            ssrc: packet.ssrc(),
            seq: packet.seq(),
            timestamp: packet.timestamp(),
            clock_rate,
            marker,
            bytes,
        });
    }
}

/// What a payload type stands for.
fn encoding(formats: &[(u8, Encoding)], payload_type: u8) -> Encoding {
    let known = formats.iter().find(|(number, _)| *number == payload_type);
    known.map_or_else(|| Encoding::of_static(payload_type), |(_, encoding)| *encoding)
}

/// Packets from which on an interval that is not over says something.
const SAMPLE_PACKETS_MIN: u64 = 50;

impl Observer {
    pub(crate) fn new() -> Self {
        Self {
            formats: Box::default(),
            streams: [const { None }; STREAMS_MAX],
            own: Some(Box::new(Stream::new())),
            given_way: Losses::default(),
            round_trip: None,
            first_packet: None,
            may_pause: false,
            next_sample: None,
            watch: Watch::default(),
        }
    }

    /// Payload types of a description. `told` is what the other side wrote, by which this party sends
    /// (RFC 3264 §5.1); what it wrote itself serves for what the other side has not named.
    pub(crate) fn describe(&mut self, described: &[(u8, Encoding)], told: bool, may_pause: bool) {
        let (first, second) = if told { (described, &*self.formats) } else { (&*self.formats, described) };
        let mut formats = first.to_vec();
        for format in second {
            if !formats.iter().any(|(number, _)| *number == format.0) {
                formats.push(*format);
            }
        }
        self.formats = formats.into();
        self.may_pause |= may_pause;
        // What is known of a number may have changed.
        self.streams.iter_mut().flatten().for_each(|stream| stream.payload_type = u8::MAX);
    }

    /// Whether the party's packets of this payload type are events, such as digits.
    pub(crate) fn is_event(&self, payload_type: u8) -> bool {
        matches!(encoding(&self.formats, payload_type).sound(), Sound::Event)
    }

    /// The streams, the one heard last first.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter().flatten().map(|stream| &**stream)
    }

    /// What we report of the stream heard last, and the start of the next interval of it.
    pub(crate) fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        self.streams[0].as_deref_mut()?.stats.report_block(now)
    }

    /// The stream heard last.
    pub(crate) fn current(&self) -> Option<&Stream> {
        self.streams[0].as_deref()
    }

    pub(crate) fn first_packet(&self) -> Option<Instant> {
        self.first_packet
    }

    /// Whether it is normal for the party to send nothing for a while: it said so in its last packet
    /// or its description, or has done it before.
    pub(crate) fn is_pausing(&self) -> bool {
        self.current().is_some_and(|stream| stream.paused || stream.pauses || self.may_pause)
    }

    /// Losses of all sources, those that gave way included.
    pub(crate) fn losses(&self) -> Losses {
        self.streams().fold(self.given_way, |sum, stream| sum.and(stream.stats.losses()))
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    fn stream_mut(&mut self, ssrc: u32) -> Option<&mut Stream> {
        self.streams.iter_mut().flatten().map(|stream| &mut **stream).find(|stream| stream.ssrc() == ssrc)
    }

    /// Brings the stream of a source to the front; a new one if it is not there.
    fn front(&mut self, ssrc: u32, spares: &mut Spares, now: Instant, wall_ms: u64) -> Option<&mut Stream> {
        let is = |stream: &Option<Box<Stream>>| stream.as_ref().is_some_and(|stream| stream.ssrc() == ssrc);
        if !is(&self.streams[0]) {
            let place = match self.streams.iter().position(is) {
                Some(place) => place,
                None => self.begin(spares, now, wall_ms),
            };
            self.streams[..=place].rotate_right(1);
        }
        self.streams[0].as_deref_mut()
    }

    /// Puts an empty stream somewhere: into a free place, else in place of the one heard longest ago.
    fn begin(&mut self, spares: &mut Spares, now: Instant, wall_ms: u64) -> usize {
        let free = self.streams.iter().position(Option::is_none);
        let fresh = free.and_then(|place| Some((place, self.own.take().or_else(|| spares.pop())?)));
        let (place, mut stream) = match fresh {
            Some(fresh) => fresh,
            None => {
                let place = self.streams.iter().rposition(Option::is_some).unwrap_or(0);
                let Some(oldest) = self.streams[place].take() else { return 0 };
                self.given_way = self.given_way.and(oldest.stats.losses());
                (place, oldest)
            }
        };
        *stream = Stream { began: now, began_wall_ms: wall_ms, ..Stream::new() };
        self.streams[place] = Some(stream);
        place
    }
}

/// What a description says of the streams of both its sides.
///
/// `from` wrote `section` to `to`, which sends by the payload types in it.
pub(crate) fn described(section: &MediaSection, from: &Media, to: &Media, paths: &mut Paths) {
    observe(section, &[(from, false), (to, true)], paths);
}

/// The same of somebody who hears nobody.
pub(crate) fn published(section: &MediaSection, from: &Media, paths: &mut Paths) {
    observe(section, &[(from, false)], paths);
}

/// Parties whose streams `section` describes, and whether each was told it, or wrote it.
fn observe(section: &MediaSection, parties: &[(&Media, bool)], paths: &mut Paths) {
    if parties.iter().any(|(media, _)| media.transport != Transport::Rtp) {
        for (media, _) in parties {
            paths[media.rtp].observer = None;
        }
        return;
    }
    let formats = formats(section);
    // ATM's attribute (RFC 3108 §5.6.2.2), which phones kept.
    let suppression = section.section.attribute("silenceSupp").and_then(|attribute| attribute.value);
    let may_pause = suppression.is_some_and(|value| value.trim_start().starts_with("on"));
    for &(media, told) in parties {
        paths[media.rtcp].rtp = Some(media.rtp);
        let observer = paths[media.rtp].observer.get_or_insert_with(|| Box::new(Observer::new()));
        observer.describe(&formats, told, may_pause);
    }
}

/// The payload types of a section and what they stand for.
fn formats(section: &MediaSection) -> Vec<(u8, Encoding)> {
    let mut maps: HashMap<u8, Encoding> = HashMap::new();
    for line in section.section.lines() {
        let Some(attribute) = line.attribute().filter(|attribute| attribute.name == "rtpmap") else {
            continue;
        };
        if let Some(Ok(map)) = attribute.value.map(str::parse::<Rtpmap>) {
            let encoding = Encoding::of(&map.encoding, map.clock_rate.hz());
            maps.entry(map.payload_type.get()).or_insert(encoding);
        }
    }
    let mut formats: Vec<(u8, Encoding)> = Vec::new();
    for number in section.media().formats.iter().filter_map(|format| format.parse().ok()) {
        if number < 128 && !formats.iter().any(|(known, _)| *known == number) {
            formats.push((number, maps.get(&number).copied().unwrap_or_else(|| Encoding::of_static(number))));
        }
    }
    formats
}

impl Paths {
    /// Streams in reserve for sources that come unannounced.
    pub(crate) fn stock(&mut self) {
        self.spares.resize_with(SPARES.max(self.spares.len()), || Box::new(Stream::new()));
    }

    /// Observes a packet of an RTP half.
    ///
    /// # Cost
    /// Some compares and additions of integers; no allocation.
    pub(crate) fn observe_rtp(&mut self, id: PathId, packet: &[u8], now: Instant, wall_ms: u64) {
        let (Some(half), spares) = self.half_and_spares(id) else { return };
        let Ok(read) = RtpPacket::parse(packet) else { return };
        // Types that RTCP would have where it is multiplexed are nobody's RTP (RFC 5761 §4).
        if rtcp::is_rtcp(packet) {
            return;
        }
        let Ssrc(ssrc) = read.ssrc();
        half.ssrc = Some(ssrc);
        let Some(observer) = half.observer.as_deref_mut() else { return };
        observer.first_packet.get_or_insert(now);
        let formats = std::mem::take(&mut observer.formats);
        if let Some(stream) = observer.front(ssrc, spares, now, wall_ms) {
            stream.observe(&read, &formats, now, packet.len());
        }
        observer.formats = formats;
    }

    /// Observes RTCP of the half `id`: when senders report, and how long their reports were away.
    ///
    /// # Cost
    /// One walk over the packets and their blocks; no allocation.
    pub(crate) fn observe_rtcp(&mut self, id: PathId, packet: &[u8], now: Instant) {
        let Some(rtp) = self.get(id).and_then(|half| half.rtp) else { return };
        let Ok(compound) = Compound::parse(packet) else { return };
        for packet in compound.packets() {
            match packet {
                RtcpPacket::SenderReport(report) => {
                    let observer = self.get_mut(rtp).and_then(|half| half.observer.as_deref_mut());
                    if let Some(stream) = observer.and_then(|observer| observer.stream_mut(report.ssrc.0)) {
                        stream.stats.on_sender_report(report.ntp_middle(), now);
                    }
                    self.observe_blocks(id, rtp, report.ssrc.0, &report.reports, now);
                }
                RtcpPacket::ReceiverReport(report) => {
                    self.observe_blocks(id, rtp, report.ssrc.0, &report.reports, now);
                }
                _ => {}
            }
        }
    }

    /// What a party reports of the streams that it hears.
    fn observe_blocks(
        &mut self,
        id: PathId,
        rtp: PathId,
        reporter: u32,
        blocks: &ReportBlocks<'_>,
        now: Instant,
    ) {
        if let Some(half) = self.get_mut(id) {
            half.ssrc = Some(reporter);
        }
        for block in blocks.clone() {
            let Some(half) = self.get(rtp) else { return };
            let streams = half
                .sources()
                .iter()
                .filter_map(|source| self.get(*source)?.observer.as_deref())
                .flat_map(Observer::streams);
            let round_trip = streams
                .filter(|stream| stream.ssrc() == block.ssrc.0)
                .find_map(|stream| stream.stats.round_trip(&block, now))
                .filter(|round_trip| *round_trip <= ROUND_TRIP_MAX);
            let observer = self.get_mut(rtp).and_then(|half| half.observer.as_deref_mut());
            if let (Some(round_trip), Some(observer)) = (round_trip, observer) {
                observer.round_trip = Some(round_trip);
            }
        }
    }

    /// The delay from the mouth of the party at `id` to the ear of the one that hears it.
    pub(crate) fn delay(&self, id: PathId) -> Delay {
        let of = |id: PathId| self.get(id)?.observer.as_deref()?.round_trip();
        let own = of(id);
        let other = self.get(id).and_then(|half| half.sinks().next()).and_then(|sink| of(sink.path));
        let round_trip = own.zip(other).map(|(own, other)| own + other);
        let (network_ms, from) = match round_trip {
            // Half of at most twenty seconds.
            Some(both) => (u32::try_from(both.as_millis() / 2).unwrap_or(u32::MAX), DelayFrom::Rtcp),
            None => (NETWORK_MS, DelayFrom::Assumed),
        };
        let ms = network_ms.saturating_add(PACKET_MS + BUFFER_MS);
        Delay { ms, from, round_trip, round_trip_leg: own }
    }

    /// Ends the interval of each stream of a half whose time has come, or all that have begun one.
    pub(crate) fn sample(&mut self, id: PathId, now: Instant, over: bool, counters: &mut Counters) {
        let delay = self.delay(id);
        let Some(observer) = self.get_mut(id).and_then(|half| half.observer.as_deref_mut()) else { return };
        let Some(first) = observer.first_packet else { return };
        let interval = Duration::from_secs(INTERVAL_S.into());
        let due = *observer.next_sample.get_or_insert(first + interval);
        if due > now && !over {
            return;
        }
        observer.next_sample = Some(now + interval);
        for stream in observer.streams.iter_mut().flatten() {
            let Some(sample) = stream.sample(now, delay) else { continue };
            stream.sampled = stream.stats.losses();
            stream.history.add(sample);
            counters.sampled(&sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_of_a_stream_is_small() {
        assert!(size_of::<Stream>() <= 512, "{}", size_of::<Stream>());
        assert!(size_of::<Observer>() <= 256, "{}", size_of::<Observer>());
    }
}
