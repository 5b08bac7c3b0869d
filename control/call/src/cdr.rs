//! The call detail record: one per call, written once.

use ledger::{Amount, Currency, Exchange, PriceSource, Rate, TaxShare, Taxes};
use serde::{Deserialize, Serialize};

use crate::{AccountId, CallId, TrunkId, WallTime};

/// What happened in one call and what it cost.
///
/// Times are UTC; durations are milliseconds of the monotonic clock, except where `wall_clock` says that the
/// control process restarted in between and the difference of wall clocks had to serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cdr {
    /// The call.
    pub call: CallId,
    /// Who pays; none when the caller was never identified.
    pub account: Option<AccountId>,
    /// The number or user that called, as the carrier or callee was told.
    pub caller: String,
    /// The number or user that was called, as dialled and normalised.
    pub callee: String,
    /// Where the call went.
    pub route: CdrRoute,
    /// The trunk that answered, or the last one tried.
    pub trunk: Option<TrunkId>,
    /// Every try at a carrier, in order.
    pub attempts: Vec<Attempt>,
    /// The phone's INVITE arrived.
    pub setup_at: WallTime,
    /// The first 18x arrived.
    pub ring_at: Option<WallTime>,
    /// The answering side's 200 arrived.
    pub answer_at: Option<WallTime>,
    /// The first BYE was sent or arrived, or the call failed.
    pub end_at: WallTime,
    /// From `setup_at` to `ring_at`.
    pub post_dial_ms: Option<u64>,
    /// From `setup_at` to `answer_at`, or to `end_at` when nobody answered.
    pub wait_ms: u64,
    /// From `answer_at` to `end_at`; 0 when nobody answered.
    pub talk_ms: u64,
    /// `wait_ms` or `talk_ms` is a difference of wall clocks, since no monotonic clock spans a restart.
    pub wall_clock: bool,
    /// The call outlived a control process.
    pub recovered: bool,
    /// Final SIP status of the INVITE: 200 for an answered call.
    pub sip_status: u16,
    /// ITU-T Q.850 cause of the end.
    pub q850: u8,
    /// The cause in words, for people.
    pub cause: String,
    /// Who ended it.
    pub ended_by: Side,
    /// Seconds charged for, in whole increments of the rate.
    pub billed_seconds: u64,
    /// The rate the call was charged by: the one in force when it was answered, or when it ended without an answer.
    pub rate: Option<Rate>,
    /// Where that rate is from; none in records of older versions.
    #[serde(default)]
    pub tariff: Option<PriceSource>,
    /// How its currency was turned into that of the charge, where they differ.
    #[serde(default)]
    pub exchange: Option<Exchange>,
    /// How much of `charge` is each tax.
    #[serde(default)]
    pub taxes: Vec<TaxShare>,
    /// The currency of `charge`, `held`, `cost` and `margin`.
    pub currency: Option<Currency>,
    /// What was held before dialling.
    pub held: Amount,
    /// What was charged, taxes and all: never more than `held`.
    pub charge: Amount,
    /// What the carriers take for all of `attempts`; none where one's prices, or a rate of exchange, are not known.
    #[serde(default)]
    pub cost: Option<Amount>,
    /// `charge` without taxes, less `cost`.
    #[serde(default)]
    pub margin: Option<Amount>,
    /// Packets and bytes the engine counted, and how well both voices arrived.
    pub media: CallMedia,
}

impl Cdr {
    /// Sets the charge to what is posted, and with it the taxes in it and the margin.
    pub fn set_charge(&mut self, charge: Amount) {
        self.charge = charge;
        let list = self.taxes.iter().map(|share| share.tax.clone()).collect();
        if let Ok(taxes) = Taxes::new(true, list) {
            self.taxes = taxes.shares(charge);
        }
        let net = self.taxes.iter().try_fold(charge, |net, share| net.checked_sub(share.amount));
        self.margin = self.cost.and_then(|cost| net?.checked_sub(cost));
    }
}

/// Where a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CdrRoute {
    /// To a carrier, paid.
    Trunk,
    /// To another registered phone, free.
    Local,
    /// Nowhere: refused before anybody was dialled.
    Refused,
}

/// One try at a carrier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which trunk.
    pub trunk: TrunkId,
    /// Its final status; 0 when the transport failed.
    pub sip_status: u16,
    /// The INVITE was sent.
    pub at: WallTime,
    /// From the INVITE to the final status, in milliseconds.
    pub duration_ms: u64,
    /// What the carrier takes for it; none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

/// An amount with its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// How much.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
}

/// One of the two ends of a call, or the exchange between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The leg that called.
    Caller,
    /// The leg that was called.
    Callee,
    /// This exchange: credit used up, engine gone, timers, an operator.
    Exchange,
}

/// Media counters of both legs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallMedia {
    /// The leg that called.
    pub caller: LegMedia,
    /// The leg that was called.
    pub callee: LegMedia,
}

/// RTP that arrived from one leg, as the engine counted it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegMedia {
    /// Packets received from this leg.
    pub packets_received: u64,
    /// Bytes received from this leg.
    pub bytes_received: u64,
    /// The SRTP suite of this leg's voice; none where it was plain, or nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crypto_suite: Option<String>,
    /// How well this leg's voice arrived; none when nothing did, or the record is of an older version.
    #[serde(default)]
    pub quality: Option<LegQuality>,
}

/// How well one leg's voice arrived at the engine, and what the score assumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegQuality {
    /// Encoding and clock, such as `PCMA/8000`; empty when unknown.
    pub codec: String,
    /// Packets that should have arrived.
    pub packets_expected: u64,
    /// Packets that never came.
    pub packets_lost: u64,
    /// Packets that came too late for the assumed jitter buffer.
    pub packets_late: u64,
    /// Packets that came twice.
    pub packets_duplicate: u64,
    /// Packets that came after later ones.
    pub packets_reordered: u64,
    /// How much longer the runs of missing packets are than by chance, in hundredths.
    pub burst_ratio_x100: u32,
    /// Interarrival jitter at the end (RFC 3550), in microseconds.
    pub jitter_us: u64,
    /// The largest it was.
    pub jitter_max_us: u64,
    /// Mean opinion score of the whole call in hundredths (ITU-T G.107); none for an unknown encoding.
    pub mos_x100: Option<u32>,
    /// That of its worst five seconds.
    pub mos_lowest_x100: Option<u32>,
    /// Round trip from end to end; none when the ends did not both report.
    pub round_trip_us: Option<u64>,
    /// The delay from mouth to ear that the scores assume.
    pub delay_ms: u32,
    /// Where that comes from.
    pub delay_from: DelaySource,
    /// The jitter buffer that the scores assume at the listener.
    pub buffer_ms: u32,
}

/// Where a delay comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DelaySource {
    /// A constant of the engine.
    #[default]
    Assumed,
    /// RTCP of both legs.
    Rtcp,
}

impl From<&ng::MediaQuality> for LegQuality {
    fn from(of: &ng::MediaQuality) -> Self {
        Self {
            codec: of.codec.clone().into_owned(),
            packets_expected: of.expected,
            packets_lost: of.lost,
            packets_late: of.late,
            packets_duplicate: of.duplicates,
            packets_reordered: of.reordered,
            burst_ratio_x100: of.burst_ratio_x100,
            jitter_us: of.jitter_us,
            jitter_max_us: of.jitter_max_us,
            mos_x100: of.mos_x100,
            mos_lowest_x100: of.mos_lowest_x100,
            round_trip_us: of.round_trip_us,
            delay_ms: of.delay_ms,
            delay_from: match of.delay_from {
                ng::DelayFrom::Assumed => DelaySource::Assumed,
                ng::DelayFrom::Rtcp => DelaySource::Rtcp,
            },
            buffer_ms: of.buffer_ms,
        }
    }
}
