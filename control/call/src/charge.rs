//! What a call costs whoever called, and what it costs us (`adr/0001-charge-of-a-late-cancel.md`).

use ledger::{Amount, Charge, Price, Quote};

use crate::call::Call;
use crate::core::{Core, LegIndex, Moment};
use crate::{Attempt, Money, Side, Trunk, WallTime};

impl Call {
    /// Both prices are those of the answer from now on.
    pub(crate) fn fix_prices(&mut self, index: LegIndex, answered: WallTime) {
        let buy = self.legs.get_mut(index).and_then(|leg| leg.buy.as_mut());
        for quote in self.quote.iter_mut().chain(buy) {
            quote.fix(answered.0);
        }
    }

    /// The price of this call: the one at its answer, or at its end if nobody answered.
    pub(crate) fn price(&self) -> Option<&Price> {
        Some(self.quote.as_ref()?.at(self.priced_at().wall.0))
    }

    /// Seconds and money of this call.
    ///
    /// A caller that never heard the 200 pays only if it cancelled too late: then the time between the carrier's 200 and
    /// our BYE, unless that is nothing (ADR 1). A call that nobody answered costs its attempt fee.
    pub(crate) fn charge(&self) -> Charge {
        let nothing = Charge { billed_seconds: 0, amount: Amount::ZERO };
        let Some(price) = self.price() else { return nothing };
        if self.answered.is_none() {
            let fee = if self.was_tried() { price.attempt().unwrap_or(self.held) } else { Amount::ZERO };
            return Charge { amount: fee.min(self.held), ..nothing };
        }
        let talk_ms = self.talk_ms();
        let cancelled_late = talk_ms > 0 && self.end.as_ref().is_some_and(|end| end.by == Side::Caller);
        if !self.told && !cancelled_late {
            return nothing;
        }
        match price.charge_within(talk_ms, self.held_seconds) {
            Ok(charge) => Charge { amount: charge.amount.min(self.held), ..charge },
            // Only beyond the hold can a charge be out of range.
            Err(_) => Charge { billed_seconds: u64::from(self.held_seconds), amount: self.held },
        }
    }

    /// The tries with what each costs us, the answered one included.
    pub(crate) fn costly_attempts(&self) -> Vec<Attempt> {
        let mut attempts = self.attempts.clone();
        if let (Some(answered), Some(won)) =
            (&self.answered, attempts.last_mut().filter(|won| won.sip_status == 200))
        {
            let buy = self.legs.last().and_then(|leg| leg.buy.as_ref());
            won.cost = buy.and_then(|buy| {
                let price = buy.at(answered.wall.0);
                money(price, price.charge(self.talk_ms()).ok()?.amount)
            });
        }
        attempts
    }

    /// What all of them take, in the currency of the balance.
    pub(crate) fn cost(&self, core: &Core, attempts: &[Attempt]) -> Option<Amount> {
        let currency = self.currency?;
        let at_ms = self.priced_at().wall.0;
        attempts.iter().try_fold(Amount::ZERO, |sum, attempt| {
            let cost = attempt.cost?;
            let converted = if cost.currency == currency {
                cost.amount
            } else {
                core.directory.exchanges.at(cost.currency, currency, at_ms)?.convert(cost.amount)?
            };
            sum.checked_add(converted)
        })
    }

    /// The answer, or the end of what nobody answered.
    fn priced_at(&self) -> Moment {
        self.answered.or_else(|| self.end.as_ref().map(|end| end.moment)).unwrap_or(self.setup)
    }

    /// Whether a carrier took the call to the called side: what failed at the carrier itself, or with this process, was
    /// no attempt of the caller.
    fn was_tried(&self) -> bool {
        let reached = |attempt: &Attempt| !matches!(attempt.sip_status, 0 | 401 | 407 | 500..=599);
        !self.recovered && self.attempts.iter().any(reached)
    }
}

impl Trunk {
    /// What the carrier may take for a call to `number`; none where its prices are not known.
    pub(crate) fn buy_quote(&self, core: &Core, number: &str) -> Option<Quote> {
        let directory = &core.directory;
        let tariff = directory.tariffs.get(self.buy_tariff.as_ref()?)?;
        let now_ms = core.wall.0;
        let until_ms = now_ms.saturating_add(crate::call::millis(core.ringing_max()));
        Quote::find(&[tariff], &directory.exchanges, number, tariff.currency(), now_ms, until_ms)
    }
}

/// What a carrier takes for a try that nobody answered.
pub(crate) fn attempt(buy: &Quote, at: WallTime) -> Option<Money> {
    let price = buy.at(at.0);
    money(price, price.attempt().ok()?)
}

fn money(price: &Price, amount: Amount) -> Option<Money> {
    Some(Money { amount, currency: price.source.as_ref()?.currency })
}
