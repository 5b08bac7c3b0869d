//! Allocate: an address for a client (RFC 8656 §7).

use rtp::{
    stun::{AttributeKind, Class, Method, StunMessage},
    turn::{Family, UDP},
};

use super::{
    Context, Due, Turn, TurnDrop, TurnError,
    allocation::{Allocation, AllocationKey, Beginning},
    answer::{Asked, Seal},
    relays::Port,
    request::{Asker, Refused},
};

/// What a request for an address wants.
struct Wanted<'a> {
    family: Family,
    /// IPv6 besides.
    additional: bool,
    /// The next port is to be set aside.
    reserve: bool,
    /// A port that was set aside.
    token: Option<&'a [u8]>,
    lifetime_s: Option<u32>,
}

impl<'a> Wanted<'a> {
    fn read(message: &StunMessage<'a>) -> Result<Self, TurnError> {
        let value = |kind| message.value(kind);
        match value(AttributeKind::REQUESTED_TRANSPORT) {
            Some(&[UDP, _, _, _]) => {}
            Some(&[_, _, _, _]) => return Err(TurnError::UnsupportedTransport),
            _ => return Err(TurnError::BadRequest),
        }
        let token = value(AttributeKind::RESERVATION_TOKEN);
        let even = value(AttributeKind::EVEN_PORT);
        let requested = value(AttributeKind::REQUESTED_ADDRESS_FAMILY);
        let additional = value(AttributeKind::ADDITIONAL_ADDRESS_FAMILY);
        let reserve = match even {
            None => false,
            Some(&[bits]) => bits & 0x80 != 0,
            Some(_) => return Err(TurnError::BadRequest),
        };
        let odd = token.is_some() && (even.is_some() || requested.is_some() || additional.is_some())
            || additional.is_some() && (requested.is_some() || reserve);
        if odd {
            return Err(TurnError::BadRequest);
        }
        let family = match requested.map(Family::read) {
            None => Family::Ipv4,
            Some(Some(Some(family))) => family,
            Some(Some(None)) => return Err(TurnError::AddressFamilyNotSupported),
            Some(None) => return Err(TurnError::BadRequest),
        };
        let additional = match additional.map(Family::read) {
            None => false,
            Some(Some(Some(Family::Ipv6))) => true,
            Some(_) => return Err(TurnError::BadRequest),
        };
        Ok(Self { family, additional, reserve, token, lifetime_s: lifetime(message)? })
    }
}

/// LIFETIME, if it is there.
pub(super) fn lifetime(message: &StunMessage<'_>) -> Result<Option<u32>, TurnError> {
    match message.value(AttributeKind::LIFETIME).map(<[u8; 4]>::try_from) {
        None => Ok(None),
        Some(Ok(seconds)) => Ok(Some(u32::from_be_bytes(seconds))),
        Some(Err(_)) => Err(TurnError::BadRequest),
    }
}

impl Turn {
    /// How long an allocation lasts for which so long was asked (RFC 8656 §7.2).
    pub(super) fn granted_s(&self, asked_s: Option<u32>) -> u32 {
        let max = u32::try_from(self.live.limits.lifetime_max.as_secs()).unwrap_or(u32::MAX);
        asked_s.unwrap_or(LIFETIME_DEFAULT_S).max(LIFETIME_DEFAULT_S).min(max)
    }

    pub(super) fn allocate(
        &mut self,
        cx: &mut Context<'_>,
        asked: &Asked,
        asker: &Asker<'_>,
        message: StunMessage<'_>,
    ) -> Result<Option<Result<(), TurnDrop>>, Refused> {
        if let Some(key) = self.clients.get(&asked.client).copied() {
            let same = |allocation: &&Allocation| {
                allocation.transaction == asked.transaction && *allocation.username == *asker.username
            };
            let known = self.allocations.get(key).filter(same).ok_or(TurnError::AllocationMismatch)?;
            // Of one that is opening the answer comes when it is open.
            return Ok(known.is_ready().then(|| self.tell_allocated(cx, key)));
        }
        let wanted = Wanted::read(&message)?;
        let limits = &self.live.limits;
        if self.users.allocations_of(asker.user) >= limits.user_allocations_max {
            return Err(TurnError::AllocationQuotaReached.into());
        }
        if self.closed || self.allocations.len() >= limits.allocations_max {
            return Err(TurnError::InsufficientCapacity.into());
        }
        let key = self.begin(cx, asked, asker, self.granted_s(wanted.lifetime_s));
        match self.open_relays(cx, key, &wanted) {
            Ok(()) => Ok(None),
            Err(error) => {
                self.end(cx, key, super::AllocationEnd::Deleted);
                Err(error.into())
            }
        }
    }

    fn begin(
        &mut self,
        cx: &Context<'_>,
        asked: &Asked,
        asker: &Asker<'_>,
        lifetime_s: u32,
    ) -> AllocationKey {
        let allocation = Allocation::new(Beginning {
            client: asked.client,
            username: asker.username.into(),
            key: asker.key.clone(),
            user: self.users.enter(asker.user, cx.now),
            transaction: asked.transaction,
            sha256: asker.sha256,
            lifetime_s,
            now: cx.now,
        });
        let expires = allocation.expires;
        let key = self.allocations.insert(allocation);
        self.clients.insert(asked.client, key);
        self.due.insert((expires, Due::Allocation(key)));
        key
    }

    fn open_relays(
        &mut self,
        cx: &mut Context<'_>,
        key: AllocationKey,
        wanted: &Wanted<'_>,
    ) -> Result<(), TurnError> {
        // Not before all is decided is it told as one that ended.
        self.allocation(key).opening = 1;
        let (family, port) = match wanted.token {
            None => (wanted.family, Port::Even(self.interface(cx, wanted.family)?)),
            Some(token) => {
                let reservation = self.redeem(token)?;
                (reservation.family(), Port::Odd(reservation))
            }
        };
        let relay = match (self.open_relay(cx, key, port), port) {
            (Err(error), Port::Odd(reservation)) => {
                self.unredeem(cx, reservation);
                return Err(error);
            }
            (result, _) => result?,
        };
        *self.allocation(key).relay_mut(family) = Some(relay);
        if wanted.reserve {
            let token = self.reserve(cx, relay).ok_or(TurnError::InsufficientCapacity)?;
            self.allocation(key).token = Some(token);
        }
        if wanted.additional {
            let interface = self.interface(cx, Family::Ipv6);
            let relay = interface.and_then(|interface| self.open_relay(cx, key, Port::Even(interface)));
            let allocation = self.allocation(key);
            match relay {
                Ok(relay) => {
                    *allocation.relay_mut(Family::Ipv6) = Some(relay);
                    allocation.opening += 1;
                }
                Err(error) => allocation.without_additional = Some(error),
            }
        }
        Ok(())
    }

    /// A relayed socket of an allocation is open, or is not and another port may be tried.
    pub(super) fn on_relay(
        &mut self,
        cx: &mut Context<'_>,
        key: AllocationKey,
        family: Family,
        open: bool,
        retry: bool,
    ) {
        let allocation = self.allocation(key);
        if !open {
            *allocation.relay_mut(family) = None;
            // A token was for the port behind the one that is not to be had: the client is told of none.
            let again = retry && allocation.attempts_left > 0 && allocation.token.is_none();
            allocation.attempts_left = allocation.attempts_left.saturating_sub(1);
            let other = if again { self.interface(cx, family) } else { Err(TurnError::InsufficientCapacity) };
            let other = other.and_then(|interface| self.open_relay(cx, key, Port::Even(interface)));
            let allocation = self.allocation(key);
            match other {
                Ok(relay) => {
                    *allocation.relay_mut(family) = Some(relay);
                    return;
                }
                // The other family is there, or will be.
                Err(error) if family == Family::Ipv6 && allocation.relay(Family::Ipv4).is_some() => {
                    allocation.without_additional = Some(error);
                }
                Err(error) => return self.give_up(cx, key, error),
            }
        }
        let allocation = self.allocation(key);
        allocation.opening -= 1;
        if allocation.is_ready() {
            cx.counters.allocations_begun += 1;
            cx.counters.allocations_live = self.allocations.len() as u64;
            match self.tell_allocated(cx, key) {
                Ok(()) => cx.counters.granted += 1,
                Err(reason) => cx.counters.dropped(reason),
            }
        }
    }

    /// Refuses what was asked before, and forgets it.
    fn give_up(&mut self, cx: &mut Context<'_>, key: AllocationKey, error: TurnError) {
        let allocation = self.allocation(key);
        let (key_of_user, sha256) = (allocation.key.clone(), allocation.sha256);
        let asked = asked_by(allocation);
        if let Some(token) = allocation.token {
            self.forget_reservation(cx, token);
        }
        self.end(cx, key, super::AllocationEnd::Deleted);
        let seal = Seal { key: &key_of_user, sha256 };
        if let Err(reason) = self.refuse(cx, &asked, error, &[], Some(seal)) {
            cx.counters.dropped(reason);
        }
    }

    /// Answers that there is an allocation.
    fn tell_allocated(&self, cx: &mut Context<'_>, key: AllocationKey) -> Result<(), TurnDrop> {
        let allocation = self.allocations.get(key).ok_or(TurnDrop::NoAllocation)?;
        let seal = Seal { key: &allocation.key, sha256: allocation.sha256 };
        let relayed = allocation.relays.iter().flatten().filter_map(|relay| self.relays.address(*relay));
        self.answer(cx, &asked_by(allocation), Class::Success, Some(seal), |writer| {
            for address in relayed {
                writer.xor_address(AttributeKind::XOR_RELAYED_ADDRESS, address)?;
            }
            writer.attribute(AttributeKind::LIFETIME, &allocation.lifetime_s.to_be_bytes())?;
            if let Some(token) = &allocation.token {
                writer.attribute(AttributeKind::RESERVATION_TOKEN, token)?;
            }
            if let Some(error) = allocation.without_additional {
                let [class, number] =
                    [error.code() / 100, error.code() % 100].map(|part| part.to_be_bytes()[1]);
                let value = [Family::Ipv6.number(), 0, class, number];
                writer.attribute(AttributeKind::ADDRESS_ERROR_CODE, &value)?;
            }
            writer.xor_mapped_address(allocation.client.address)
        })
    }

    /// An allocation that is there.
    fn allocation(&mut self, key: AllocationKey) -> &mut Allocation {
        self.allocations.get_mut(key).expect("its sockets are closed before it goes")
    }
}

/// The request that made an allocation, which was authenticated.
fn asked_by(allocation: &Allocation) -> Asked {
    let Allocation { client, transaction, .. } = *allocation;
    Asked { client, method: Method::ALLOCATE, transaction, bytes: 0, validated: true }
}

/// RFC 8656 §3.2.
const LIFETIME_DEFAULT_S: u32 = 600;
