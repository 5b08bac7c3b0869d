//! Peers, store, engine and time in any order: one record per call, and never more than was held.

use std::time::Duration;

use call::*;
use proptest::prelude::*;
use sip::{Dialog, Message, Method, Request};

use crate::basic::{carrier, phone};
use crate::peer::{Peer, sdp};
use crate::world::World;

#[derive(Clone, Debug)]
enum Act {
    Invite(bool),
    Cancel,
    PhoneRequest(u8),
    CarrierRequest(u8),
    CarrierAnswers(u8),
    PhoneAnswers,
    Pass(u32),
    KeepStore(bool),
    KeepMedia(bool),
    StoreFails(bool),
    EngineDown,
    EngineUp,
    EngineEnds,
    Report,
    Restart,
    SendFails,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => any::<bool>().prop_map(Act::Invite),
        2 => Just(Act::Cancel),
        4 => (0u8..6).prop_map(Act::PhoneRequest),
        4 => (0u8..6).prop_map(Act::CarrierRequest),
        10 => (0u8..12).prop_map(Act::CarrierAnswers),
        8 => Just(Act::PhoneAnswers),
        6 => (1u32..40_000).prop_map(Act::Pass),
        2 => any::<bool>().prop_map(Act::KeepStore),
        2 => any::<bool>().prop_map(Act::KeepMedia),
        1 => any::<bool>().prop_map(Act::StoreFails),
        1 => Just(Act::EngineDown),
        2 => Just(Act::EngineUp),
        1 => Just(Act::EngineEnds),
        1 => Just(Act::Report),
        1 => Just(Act::Restart),
        1 => Just(Act::SendFails),
    ]
}

/// Both peers with whatever they know by now.
struct Play {
    phone: Peer,
    carrier: Peer,
    invite: Option<Request>,
    at_phone: Option<Dialog>,
    at_carrier: Option<Dialog>,
    onward: Vec<Request>,
}

impl Play {
    fn act(&mut self, world: &mut World, act: Act) {
        match act {
            Act::Invite(with_offer) => {
                let body = sdp(4000);
                let invite = self.phone.invite("+493055555", with_offer.then_some(body.as_str()));
                self.phone.send(world, invite.clone());
                (self.invite, self.at_phone) = (Some(invite), None);
            }
            Act::Cancel => {
                if let Some(invite) = &self.invite {
                    self.phone.send(world, self.phone.cancel(invite));
                }
            }
            Act::PhoneRequest(kind) => {
                let mut peer = self.phone.clone();
                if let Some(dialog) = &mut self.at_phone {
                    ask(world, &mut peer, dialog, kind);
                }
                self.phone = peer;
            }
            Act::CarrierRequest(kind) => {
                let mut peer = self.carrier.clone();
                if let Some(dialog) = &mut self.at_carrier {
                    ask(world, &mut peer, dialog, kind);
                }
                self.carrier = peer;
            }
            Act::CarrierAnswers(kind) => self.carrier_answers(world, kind),
            Act::PhoneAnswers => self.phone_answers(world),
            Act::Pass(ms) => world.pass_ms(u64::from(ms)),
            Act::KeepStore(true) => world.hold_store = true,
            Act::KeepStore(false) => world.release_store(),
            Act::KeepMedia(true) => world.hold_media = true,
            Act::KeepMedia(false) => world.release_media(),
            Act::StoreFails(true) => world.store.failing.extend(["authorize", "journal", "settle"]),
            Act::StoreFails(false) => world.store.failing.clear(),
            Act::EngineDown => {
                world.engines[0].up = false;
                world.input(Input::EngineDown { engine: EngineId(0) });
            }
            Act::EngineUp => {
                world.engines[0].up = true;
                world.input(Input::EngineUp { engine: EngineId(0), instance: "one".into() });
            }
            Act::EngineEnds => world.engine_ends(ng::EndReason::MediaTimeout, 500),
            Act::Report => world.report(0),
            Act::Restart => {
                world.hold_store = false;
                world.hold_media = false;
                world.restart(Duration::from_secs(1));
            }
            Act::SendFails => {
                let hop = sip::Hop::new(sip::Transport::Udp, self.carrier.address());
                world.input(Input::SendFailed(hop));
            }
        }
    }

    fn carrier_answers(&mut self, world: &mut World, kind: u8) {
        while let Some(message) = self.carrier.next(world) {
            if let Message::Request(request) = message {
                self.onward.push(request);
            }
        }
        let Some(request) = self.onward.last().cloned() else { return };
        let invite = *request.method() == Method::Invite;
        let (status, with_body) = match (invite, kind) {
            (false, 0) => (481, false),
            (false, _) => (200, false),
            (true, 0) => (100, false),
            (true, 1) => (180, false),
            (true, 2) => (183, true),
            (true, 3) => (486, false),
            (true, 4) => (503, false),
            (true, 5) => (200, false),
            (true, 6) => (407, false),
            (true, _) => (200, true),
        };
        if *request.method() == Method::Ack {
            self.onward.pop();
            return;
        }
        let body = sdp(6000);
        let response = self.carrier.response(&request, status, with_body.then_some(body.as_str()));
        if invite && status == 200 && request.to_tag().is_none() {
            self.at_carrier = Dialog::uas(&request, "carrier-tag").ok();
        }
        if status >= 200 {
            self.onward.pop();
        }
        self.carrier.send(world, response);
    }

    fn phone_answers(&mut self, world: &mut World) {
        let Some(message) = self.phone.next(world) else { return };
        match message {
            Message::Request(request) if *request.method() != Method::Ack => {
                let body = sdp(4001);
                let offers = *request.method() == Method::Invite;
                let response = self.phone.response(&request, 200, offers.then_some(body.as_str()));
                self.phone.send(world, response);
            }
            Message::Response(response)
                if response.status().code() == 200
                    && response.cseq().is_ok_and(|cseq| cseq.method == Method::Invite) =>
            {
                let Some(invite) = &self.invite else { return };
                let number = response.cseq().expect("CSeq").number;
                if invite.call_id() == response.call_id()
                    && invite.cseq().expect("CSeq").number == number
                    && self.at_phone.is_none()
                {
                    self.at_phone = Dialog::uac(invite, &response).ok();
                }
                if let Some(dialog) = &self.at_phone
                    && dialog.id.call_id == response.call_id()
                {
                    let body = sdp(4000);
                    let late = invite.body().is_empty();
                    let ack = self.phone.ack(dialog, number, late.then_some(body.as_str()));
                    self.phone.send(world, ack);
                }
            }
            _ => {}
        }
    }
}

fn ask(world: &mut World, peer: &mut Peer, dialog: &mut Dialog, kind: u8) {
    let body = sdp(4444);
    let (method, with_body) = match kind {
        0 => (Method::Bye, false),
        1 => (Method::Invite, true),
        2 => (Method::Invite, false),
        3 => (Method::Update, true),
        4 => (Method::Update, false),
        _ => (Method::Info, false),
    };
    let request = peer.within(dialog, method, with_body.then_some(body.as_str()));
    peer.send(world, request);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_ends_with_one_record_per_call_and_no_hold(
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let mut world = World::new();
        let mut play = Play {
            phone: phone(),
            carrier: carrier(),
            invite: None,
            at_phone: None,
            at_carrier: None,
            onward: Vec::new(),
        };
        for act in acts {
            play.act(&mut world, act);
        }
        // The store works again, the carrier is deaf, and time passes.
        world.store.failing.clear();
        world.release_store();
        world.release_media();
        world.engines[0].up = true;
        world.input(Input::EngineUp { engine: EngineId(0), instance: "one".into() });
        let mut hours = 0;
        while world.exchange.calls() > 0 {
            world.pass_ms(600_000);
            hours += 1;
            prop_assert!(hours < 60, "a call is stuck\n{}", world.story());
        }
        // Whatever is still open now is open for good.
        world.pass_ms(600_000);
        prop_assert_eq!(world.exchange.transactions(), (0, 0), "{}", world.story());
        prop_assert_eq!(world.exchange.next_deadline(), None);
        prop_assert!(world.store.holds.is_empty());
        prop_assert!(world.store.journal.is_empty());
        for cdr in world.store.cdrs.values() {
            prop_assert!(cdr.charge <= cdr.held);
            prop_assert!(cdr.answer_at.is_some() || cdr.charge.is_zero());
        }
    }
}
