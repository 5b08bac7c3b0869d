//! The state and counters of a call as clients see them, and the final reports that are kept.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use ng::{
    CallReport, MediaStatus, StreamCounters, StreamStatus, Subscription, SubscriptionKind, TagStatus, Totals,
};
use rtp::units::Instant;

use crate::{
    call::Call,
    leg::Leg,
    media::{Media, Transport},
    path::{Path, PathId, PathKind, Paths},
    quality,
    socket::Sockets,
};

/// The state of a call, or of the parties whose index `wanted` accepts.
pub(crate) fn of_call(
    call: &Call,
    sockets: &Sockets,
    paths: &Paths,
    now: Instant,
    wanted: impl Fn(usize) -> bool,
) -> CallReport {
    let parties = || call.parties().filter(|(index, _)| wanted(*index));
    let mut totals = Totals::default();
    for media in parties().flat_map(|(_, leg)| &leg.medias) {
        for id in [media.rtp, media.rtcp] {
            let path = &paths[id];
            add(if path.kind == PathKind::Rtcp { &mut totals.rtcp } else { &mut totals.rtp }, path.received);
        }
    }
    CallReport {
        created_us: call.created_wall_ms.saturating_mul(1000),
        last_signal_s: call.last_signal_wall_ms / 1000,
        tags: parties().map(|(index, leg)| tag_status(call, index, leg, sockets, paths, now)).collect(),
        ssrcs: quality::ssrcs(parties().flat_map(|(_, leg)| &leg.medias), paths, now),
        totals,
        offenders: call.offenders.iter().flat_map(|offenders| offenders.list()).collect(),
        owner: call.owner.clone(),
        recording: call.recording.is_some(),
        ..CallReport::default()
    }
}

fn tag_status(
    call: &Call,
    index: usize,
    leg: &Leg,
    sockets: &Sockets,
    paths: &Paths,
    now: Instant,
) -> TagStatus {
    let of_kind = |kind| {
        move |other: usize| Subscription { tag: call.leg(other).tag.clone().unwrap_or_default(), kind }
    };
    let subscription = of_kind(SubscriptionKind::OfferAnswer);
    let published = of_kind(SubscriptionKind::PubSub);
    let subscribers = call.parties().filter(|(_, party)| party.subscribes_to(index));
    TagStatus {
        tag: leg.tag.clone().unwrap_or_default(),
        via_branch: leg.via_branch.clone(),
        aliases: leg.aliases.clone(),
        label: leg.label.clone(),
        created_s: leg.created_s,
        metadata: leg.metadata.as_deref().map(str::to_owned),
        subscriptions: call
            .parties()
            .filter(|(_, party)| party.peer == Some(index))
            .map(|(other, _)| subscription(other))
            .chain(leg.hears.iter().copied().map(&published))
            .collect(),
        subscribers: leg
            .peer
            .into_iter()
            .map(&subscription)
            .chain(subscribers.map(|(other, _)| published(other)))
            .collect(),
        medias: (1..)
            .zip(&leg.medias)
            .map(|(index, media)| media_status(index, media, leg.created_s, sockets, paths, now))
            .collect(),
        ..TagStatus::default()
    }
}

fn media_status(
    index: u32,
    media: &Media,
    created_s: u64,
    sockets: &Sockets,
    paths: &Paths,
    now: Instant,
) -> MediaStatus {
    let mut flags = Vec::new();
    // A party that was offered a section and has not answered is not initialised.
    if media.endpoint.is_some() {
        flags.push(Cow::Borrowed("initialized"));
    }
    if media.asked.asymmetric {
        flags.push(Cow::Borrowed("asymmetric"));
    }
    if media.direction_told.receives() {
        flags.push(Cow::Borrowed("send"));
    }
    if media.direction_told.sends() {
        flags.push(Cow::Borrowed("recv"));
    }
    if media.mux.said {
        flags.push(Cow::Borrowed("rtcp-mux"));
    }
    if media.asked.unidirectional {
        flags.push(Cow::Borrowed("unidirectional"));
    }
    match media.dtls.as_ref().and_then(|dtls| dtls.role()) {
        Some(role) => {
            let active = role == rtp::dtls::Role::Client;
            let role = if active { "DTLS role active" } else { "DTLS role passive" };
            flags.extend(["DTLS-SRTP", role].map(Cow::Borrowed));
        }
        None if media.suite().is_some() => flags.push(Cow::Borrowed("SDES")),
        None => {}
    }
    let halves: &[PathId] = match media.transport {
        Transport::Rtp | Transport::Opaque => &[media.rtp, media.rtcp],
        Transport::Foreign => &[],
    };
    let local = media.selected.filter(|_| !media.closed).and_then(|pair| sockets.local(pair));
    let described = [media.endpoint, media.rtcp_endpoint];
    let streams = (0u16..).zip(halves).zip(described).map(|((half, &id), described)| {
        let local = local.map(|at| SocketAddr::new(at.ip(), at.port() + half));
        stream_status(&paths[id], half, created_s, local, described, media)
    });
    MediaStatus {
        index,
        kind: media.kind.clone(),
        protocol: media.protocol.clone(),
        codec: quality::codec(paths, media.rtp),
        streams: streams.collect(),
        flags,
        quality: quality::of_media(paths, media.rtp, now),
        ..MediaStatus::default()
    }
}

fn stream_status(
    path: &Path,
    half: u16,
    created_s: u64,
    local: Option<SocketAddr>,
    described: Option<SocketAddr>,
    media: &Media,
) -> StreamStatus {
    let second = half == 1;
    let mut flags = vec![Cow::Borrowed(if second { "RTCP" } else { "RTP" })];
    if media.mux.said {
        flags.push(Cow::Borrowed(if second { "fallback RTCP" } else { "RTCP" }));
    }
    // Nothing is sent to an unspecified address, and yet it is what the party said.
    let signalled = path.latch.signalled().filter(|_| !media.refused).or(described);
    if signalled.is_some() {
        flags.push(Cow::Borrowed("filled"));
    }
    if path.latch.confirmed().is_some() {
        flags.push(Cow::Borrowed("confirmed"));
    }
    if media.asked.strict_source {
        flags.push(Cow::Borrowed("strict source address"));
    }
    if media.asked.media_handover {
        flags.push(Cow::Borrowed("media handover"));
    }
    StreamStatus {
        local,
        endpoint: path.latch.destination().copied().filter(|_| !media.refused).or(described),
        advertised_endpoint: signalled,
        crypto_suite: media.suite().map(str::to_owned),
        last_packet_s: path.last_packet.map_or(created_s, |_| path.last_packet_wall_ms / 1000),
        flags,
        stats: path.received,
        ssrc: path.ssrc,
        ..StreamStatus::default()
    }
}

fn add(sum: &mut StreamCounters, more: StreamCounters) {
    sum.packets += more.packets;
    sum.bytes += more.bytes;
    sum.errors += more.errors;
}

/// Final reports that wait for `report ack`: bounded in number and in time.
#[derive(Debug)]
pub(crate) struct Kept {
    /// By name, so that a list of them is no matter of chance.
    reports: BTreeMap<String, (u64, CallReport)>,
    /// In order of age; an entry whose number is not its call's any more was acknowledged.
    ages: VecDeque<(Instant, u64, String)>,
    last: u64,
    reports_max: usize,
    lifetime: Duration,
}

impl Kept {
    pub(crate) fn new(reports_max: usize, lifetime: Duration) -> Self {
        Self { reports: BTreeMap::new(), ages: VecDeque::new(), last: 0, reports_max, lifetime }
    }

    /// Keeps a report; returns how many others were lost for it.
    pub(crate) fn keep(&mut self, now: Instant, call: &str, report: CallReport) -> u64 {
        if self.reports_max == 0 {
            return 1;
        }
        self.last += 1;
        let mut lost = u64::from(self.reports.insert(call.to_owned(), (self.last, report)).is_some());
        self.ages.push_back((now, self.last, call.to_owned()));
        while self.reports.len() > self.reports_max {
            lost += self.drop_oldest();
        }
        // Acknowledged ones leave their age behind: no more of them than of reports that may be kept.
        if self.ages.len() > self.reports_max.saturating_mul(2) {
            let reports = &self.reports;
            self.ages.retain(|(_, number, call)| reports.get(call).is_some_and(|(kept, _)| kept == number));
        }
        lost
    }

    /// Drops what nobody asked for in time; returns how many.
    pub(crate) fn expire(&mut self, now: Instant) -> u64 {
        let mut lost = 0;
        while self.ages.front().is_some_and(|(at, ..)| now.saturating_since(*at) >= self.lifetime) {
            lost += self.drop_oldest();
        }
        lost
    }

    fn drop_oldest(&mut self) -> u64 {
        let Some((_, number, call)) = self.ages.pop_front() else { return 0 };
        if self.reports.get(&call).is_none_or(|(kept, _)| *kept != number) {
            return 0;
        }
        self.reports.remove(&call);
        1
    }

    pub(crate) fn acknowledge(&mut self, call: &str) -> bool {
        self.take(call).is_some()
    }

    /// Keeps a report no longer.
    pub(crate) fn take(&mut self, call: &str) -> Option<CallReport> {
        self.reports.remove(call).map(|(_, report)| report)
    }

    pub(crate) fn get(&self, call: &str) -> Option<&CallReport> {
        self.reports.get(call).map(|(_, report)| report)
    }

    /// Names of the calls of an owner.
    pub(crate) fn of_owner(&self, owner: &str) -> impl Iterator<Item = &String> {
        self.reports
            .iter()
            .filter(move |(_, (_, report))| report.owner.as_deref() == Some(owner))
            .map(|(name, _)| name)
    }

    pub(crate) fn len(&self) -> usize {
        self.reports.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(reports_max: usize) -> Kept {
        Kept::new(reports_max, Duration::from_secs(10))
    }

    #[test]
    fn the_oldest_report_gives_way_and_is_counted() {
        let mut kept = kept(2);
        assert_eq!(kept.keep(Instant::ZERO, "a", CallReport::default()), 0);
        assert_eq!(kept.keep(Instant::ZERO, "b", CallReport::default()), 0);
        assert_eq!(kept.keep(Instant::ZERO, "c", CallReport::default()), 1);
        assert!(kept.get("a").is_none() && kept.get("b").is_some() && kept.get("c").is_some());
    }

    #[test]
    fn an_acknowledged_report_is_not_lost() {
        let mut kept = kept(1);
        kept.keep(Instant::ZERO, "a", CallReport::default());
        assert!(kept.acknowledge("a"));
        assert!(!kept.acknowledge("a"));
        assert_eq!(kept.keep(Instant::ZERO, "b", CallReport::default()), 0);
        assert_eq!(kept.len(), 1);
    }

    #[test]
    fn a_report_expires() {
        let mut kept = kept(4);
        kept.keep(Instant::from_millis(0), "a", CallReport::default());
        kept.keep(Instant::from_millis(5_000), "b", CallReport::default());
        assert_eq!(kept.expire(Instant::from_millis(9_999)), 0);
        assert_eq!(kept.expire(Instant::from_millis(10_000)), 1);
        assert_eq!(kept.len(), 1);
    }

    #[test]
    fn many_acknowledged_reports_leave_nothing_behind() {
        let mut kept = kept(4);
        for number in 0..1_000 {
            let name = number.to_string();
            kept.keep(Instant::ZERO, &name, CallReport::default());
            kept.acknowledge(&name);
        }
        assert!(kept.ages.len() <= 9);
    }
}
