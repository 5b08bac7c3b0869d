//! Messages of clients: what they are, who asks, and who answers them.

use rtp::{
    stun::{AttributeKind, Check, Class, Method, StunMessage},
    turn::{Client, LongTermKey, Peeked, TimedUsername, long_term_key, peek, timed_password},
};
use zeroize::Zeroizing;

use super::{
    Context, Packet, Turn, TurnDrop, TurnError,
    allocation::AllocationKey,
    answer::{Asked, Seal, UNKNOWN_MAX},
    flow_of,
};

/// Who asks, as the request has shown.
pub(super) struct Asker<'a> {
    /// The name that it gave.
    pub(super) username: &'a [u8],
    /// Whose it is.
    pub(super) user: &'a [u8],
    pub(super) key: LongTermKey,
    /// It was shown with SHA-256, and so is the answer.
    pub(super) sha256: bool,
}

impl Asker<'_> {
    pub(super) fn seal(&self) -> Seal<'_> {
        Seal { key: &self.key, sha256: self.sha256 }
    }
}

/// How a request ended that is not answered yet.
pub(super) enum Refused {
    /// With this.
    With(TurnError),
    /// With 420 and these.
    Unknown(Vec<AttributeKind>),
}

impl From<TurnError> for Refused {
    fn from(error: TurnError) -> Self {
        Self::With(error)
    }
}

impl Turn {
    /// What a client sent.
    pub(super) fn on_client(
        &mut self,
        cx: &mut Context<'_>,
        client: Client,
        packet: Packet<'_>,
    ) -> Result<(), TurnDrop> {
        self.handling = Some(client);
        match peek(packet.whole()) {
            Peeked::Channel => self.on_channel_data(cx, client, packet),
            Peeked::Stun => self.on_message(cx, client, packet),
            Peeked::Other => Err(TurnDrop::NotTurn),
        }
    }

    fn on_message(
        &mut self,
        cx: &mut Context<'_>,
        client: Client,
        packet: Packet<'_>,
    ) -> Result<(), TurnDrop> {
        let message = StunMessage::parse(packet.whole()).map_err(|_| TurnDrop::Malformed)?;
        if message.check_fingerprint() == Check::Invalid {
            return Err(TurnDrop::Fingerprint);
        }
        match (message.class(), message.method()) {
            (Class::Request, method) => {
                let asked = Asked {
                    client,
                    method,
                    transaction: message.transaction_id(),
                    bytes: packet.length,
                    validated: flow_of(client).is_some(),
                };
                self.on_request(cx, asked, message)
            }
            (Class::Indication, Method::SEND) => {
                let send = Send::read(&message)?;
                self.on_send(cx, client, send, packet)
            }
            (Class::Indication, Method::BINDING) => {
                cx.counters.keepalives += 1;
                Ok(())
            }
            _ => Err(TurnDrop::NotForServer),
        }
    }

    fn on_request(
        &mut self,
        cx: &mut Context<'_>,
        mut asked: Asked,
        message: StunMessage<'_>,
    ) -> Result<(), TurnDrop> {
        let work: Work = match asked.method {
            Method::BINDING => return self.on_binding(cx, &asked, message),
            Method::ALLOCATE => Self::allocate,
            Method::REFRESH => Self::refresh,
            Method::CREATE_PERMISSION => Self::create_permission,
            Method::CHANNEL_BIND => Self::bind_channel,
            _ => return Err(TurnDrop::NotForServer),
        };
        let asker = match self.authenticate(cx, &mut asked, message) {
            Ok(asker) => asker,
            Err(error) => return self.refuse(cx, &asked, error, &[], None),
        };
        let unknown: Vec<_> = message.unknown(KNOWN).take(UNKNOWN_MAX).collect();
        let refused = if unknown.is_empty() {
            match work(self, cx, &asked, &asker, message) {
                Ok(Some(done)) => {
                    done?;
                    cx.counters.granted += 1;
                    return Ok(());
                }
                Ok(None) => return Ok(()),
                Err(refused) => refused,
            }
        } else {
            Refused::Unknown(unknown)
        };
        match refused {
            Refused::With(error) => self.refuse(cx, &asked, error, &[], Some(asker.seal())),
            Refused::Unknown(unknown) => {
                self.refuse(cx, &asked, TurnError::UnknownAttribute, &unknown, Some(asker.seal()))
            }
        }
    }

    fn on_binding(
        &self,
        cx: &mut Context<'_>,
        asked: &Asked,
        message: StunMessage<'_>,
    ) -> Result<(), TurnDrop> {
        let mut unknown = message.unknown(KNOWN).peekable();
        if unknown.peek().is_some() {
            let unknown: Vec<_> = unknown.take(UNKNOWN_MAX).collect();
            return self.refuse(cx, asked, TurnError::UnknownAttribute, &unknown, None);
        }
        self.answer(cx, asked, Class::Success, None, |writer| {
            writer.xor_mapped_address(asked.client.address)
        })?;
        cx.counters.bindings += 1;
        Ok(())
    }

    /// Who asks (RFC 8489 §9.2.4). Password algorithms are not offered, so that nothing about them is to be checked.
    fn authenticate<'a>(
        &self,
        cx: &Context<'_>,
        asked: &mut Asked,
        message: StunMessage<'a>,
    ) -> Result<Asker<'a>, TurnError> {
        let value = |kind| message.value(kind);
        let sha256 = value(AttributeKind::MESSAGE_INTEGRITY_SHA256).is_some();
        if !sha256 && value(AttributeKind::MESSAGE_INTEGRITY).is_none() {
            return Err(TurnError::Unauthenticated);
        }
        let (Some(username), Some(_realm), Some(nonce)) =
            (message.username(), value(AttributeKind::REALM), value(AttributeKind::NONCE))
        else {
            return Err(TurnError::BadRequest);
        };
        // Before the rest, which costs more: a stranger's request ends here.
        if !self.nonces.check(cx.now, asked.client, nonce) {
            return Err(TurnError::StaleNonce);
        }
        asked.validated = true;
        let fits = |key: &[u8]| {
            let check =
                if sha256 { message.check_integrity_sha256(key) } else { message.check_integrity(key) };
            check == Check::Valid
        };
        let name = TimedUsername::parse(username).filter(|name| name.user.len() <= USER_BYTES_MAX);
        let TimedUsername { expiry_s, user } = name.ok_or(TurnError::Unauthenticated)?;
        // Whoever has an allocation has shown the password once; its time is that of allocating.
        if let Some(allocation) = self.clients.get(&asked.client).and_then(|key| self.allocations.get(*key))
            && *allocation.username == *username
            && fits(&allocation.key[..])
        {
            return Ok(Asker { username, user, key: allocation.key.clone(), sha256 });
        }
        if expiry_s <= cx.wall_ms / 1000 {
            return Err(TurnError::Unauthenticated);
        }
        let mut keys = self.live.secrets.iter().map(|secret| {
            let password: Zeroizing<String> = timed_password(secret.bytes(), username);
            long_term_key(username, &self.live.realm, &password)
        });
        let key = keys.find(|key| fits(&key[..])).ok_or(TurnError::Unauthenticated)?;
        Ok(Asker { username, user, key, sha256 })
    }

    /// The allocation of whoever asks, which must be there and the same user's.
    pub(super) fn allocation_of(&self, asked: &Asked, asker: &Asker<'_>) -> Result<AllocationKey, TurnError> {
        let key = *self.clients.get(&asked.client).ok_or(TurnError::AllocationMismatch)?;
        let allocation = self.allocations.get(key).filter(|allocation| allocation.is_ready());
        let allocation = allocation.ok_or(TurnError::AllocationMismatch)?;
        // A user may come with a newer name: its time differs, and whose it is does not.
        if self.users.name(allocation.user) == asker.user {
            Ok(key)
        } else {
            Err(TurnError::WrongCredentials)
        }
    }
}

/// A Send indication (RFC 8656 §11.1).
pub(super) struct Send {
    pub(super) peer: std::net::SocketAddr,
    /// Where its payload lies.
    pub(super) payload: std::ops::Range<usize>,
}

impl Send {
    fn read(message: &StunMessage<'_>) -> Result<Self, TurnDrop> {
        let peer = message.xor_address(AttributeKind::XOR_PEER_ADDRESS);
        let payload = message.value_range(AttributeKind::DATA);
        match (peer, payload) {
            (Some(peer), Some(payload)) if message.unknown(KNOWN).next().is_none() => {
                Ok(Self { peer, payload })
            }
            _ => Err(TurnDrop::Malformed),
        }
    }
}

/// What does a request: an answer was sent, or will be later, or it is refused.
type Work = fn(
    &mut Turn,
    &mut Context<'_>,
    &Asked,
    &Asker<'_>,
    StunMessage<'_>,
) -> Result<Option<Result<(), TurnDrop>>, Refused>;

/// Attributes that must be understood, and are. DONT-FRAGMENT is not: no socket here can be told so for one datagram.
const KNOWN: &[AttributeKind] = &[
    AttributeKind::USERNAME,
    AttributeKind::MESSAGE_INTEGRITY,
    AttributeKind::REALM,
    AttributeKind::NONCE,
    AttributeKind::MESSAGE_INTEGRITY_SHA256,
    AttributeKind::CHANNEL_NUMBER,
    AttributeKind::LIFETIME,
    AttributeKind::XOR_PEER_ADDRESS,
    AttributeKind::DATA,
    AttributeKind::REQUESTED_ADDRESS_FAMILY,
    AttributeKind::EVEN_PORT,
    AttributeKind::REQUESTED_TRANSPORT,
    AttributeKind::RESERVATION_TOKEN,
    AttributeKind::PRIORITY,
    AttributeKind::USE_CANDIDATE,
];

/// A longer name of a user is nobody's.
const USER_BYTES_MAX: usize = 128;
