//! Refresh, CreatePermission, ChannelBind (RFC 8656 §8, §10, §12).

use std::{net::SocketAddr, time::Duration};

use rtp::{
    stun::{AttributeKind, Class, StunMessage},
    turn::{CHANNELS, Family},
};

use super::{
    AllocationEnd, Context, Due, Turn, TurnDrop, TurnError,
    allocate::lifetime,
    allocation::{Allocation, NotBound, PERMISSIONS_MAX},
    answer::Asked,
    peers::{Verdict, verdict},
    request::{Asker, Refused},
};

impl Turn {
    pub(super) fn refresh(
        &mut self,
        cx: &mut Context<'_>,
        asked: &Asked,
        asker: &Asker<'_>,
        message: StunMessage<'_>,
    ) -> Result<Option<Result<(), TurnDrop>>, Refused> {
        let key = self.allocation_of(asked, asker)?;
        let wanted_s = lifetime(&message)?;
        let granted_s = if wanted_s == Some(0) { 0 } else { self.granted_s(wanted_s) };
        let allocation = self.allocations.get_mut(key).ok_or(TurnError::AllocationMismatch)?;
        let family = match message.value(AttributeKind::REQUESTED_ADDRESS_FAMILY).map(Family::read) {
            None => None,
            Some(Some(Some(family))) if allocation.relay(family).is_some() => Some(family),
            Some(Some(_)) => return Err(TurnError::PeerAddressFamilyMismatch.into()),
            Some(None) => return Err(TurnError::BadRequest.into()),
        };
        let both = allocation.relays.iter().all(Option::is_some);
        if granted_s == 0 {
            match family.filter(|_| both) {
                Some(family) => {
                    if let Some(relay) = allocation.relay_mut(family).take() {
                        self.close_relay(cx, relay);
                    }
                }
                None => self.end(cx, key, AllocationEnd::Deleted),
            }
        } else {
            let expires = cx.now + Duration::from_secs(granted_s.into());
            self.due.remove(&(std::mem::replace(&mut allocation.expires, expires), Due::Allocation(key)));
            self.due.insert((expires, Due::Allocation(key)));
        }
        Ok(Some(self.answer(cx, asked, Class::Success, Some(asker.seal()), |writer| {
            writer.attribute(AttributeKind::LIFETIME, &granted_s.to_be_bytes())
        })))
    }

    pub(super) fn create_permission(
        &mut self,
        cx: &mut Context<'_>,
        asked: &Asked,
        asker: &Asker<'_>,
        message: StunMessage<'_>,
    ) -> Result<Option<Result<(), TurnDrop>>, Refused> {
        let key = self.allocation_of(asked, asker)?;
        // One more than may be, so that too many are noticed.
        let peers = message.xor_addresses(AttributeKind::XOR_PEER_ADDRESS).take(PERMISSIONS_MAX + 1);
        let peers = peers.collect::<Option<Vec<SocketAddr>>>().filter(|peers| !peers.is_empty());
        let peers = peers.ok_or(TurnError::BadRequest)?;
        let allocation = self.allocations.get_mut(key).ok_or(TurnError::AllocationMismatch)?;
        for peer in &peers {
            fits(allocation, *peer)?;
            if verdict(peer.ip(), &self.lent, &self.own, &self.live.allow_peers) == Verdict::Refused {
                return Err(TurnError::Forbidden.into());
            }
        }
        if !allocation.has_room_for(&peers, cx.now) {
            return Err(TurnError::InsufficientCapacity.into());
        }
        for peer in peers {
            allocation.permit(peer.ip(), cx.now);
        }
        Ok(Some(self.answer(cx, asked, Class::Success, Some(asker.seal()), |_| Ok(()))))
    }

    pub(super) fn bind_channel(
        &mut self,
        cx: &mut Context<'_>,
        asked: &Asked,
        asker: &Asker<'_>,
        message: StunMessage<'_>,
    ) -> Result<Option<Result<(), TurnDrop>>, Refused> {
        let key = self.allocation_of(asked, asker)?;
        let number = match message.value(AttributeKind::CHANNEL_NUMBER) {
            Some(&[n0, n1, _, _]) => u16::from_be_bytes([n0, n1]),
            _ => return Err(TurnError::BadRequest.into()),
        };
        let peer = message.xor_address(AttributeKind::XOR_PEER_ADDRESS);
        let peer = peer.filter(|peer| CHANNELS.contains(&number) && peer.port() != 0);
        let peer = peer.ok_or(TurnError::BadRequest)?;
        let allocation = self.allocations.get_mut(key).ok_or(TurnError::AllocationMismatch)?;
        fits(allocation, peer)?;
        let own = match verdict(peer.ip(), &self.lent, &self.own, &self.live.allow_peers) {
            Verdict::Allowed => false,
            Verdict::Lent => true,
            Verdict::Refused => return Err(TurnError::Forbidden.into()),
        };
        if !allocation.has_room_for(&[peer], cx.now) {
            return Err(TurnError::InsufficientCapacity.into());
        }
        allocation.bind(number, peer, own, cx.now).map_err(|error| match error {
            NotBound::Taken => TurnError::BadRequest,
            NotBound::Full => TurnError::InsufficientCapacity,
        })?;
        allocation.permit(peer.ip(), cx.now);
        Ok(Some(self.answer(cx, asked, Class::Success, Some(asker.seal()), |_| Ok(()))))
    }
}

/// Whether an allocation has an address of a peer's family.
fn fits(allocation: &Allocation, peer: SocketAddr) -> Result<(), TurnError> {
    let relay = allocation.relay(Family::of(peer.ip()));
    relay.map(|_| ()).ok_or(TurnError::PeerAddressFamilyMismatch)
}
