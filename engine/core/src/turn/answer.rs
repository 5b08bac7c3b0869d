//! Answers: written, authenticated, never much longer than what was asked, and sent.

use rtp::{
    stun::{AttributeKind, Class, Method, NoRoom, StunWriter, TransactionId},
    turn::{Client, LongTermKey},
};

use super::{Context, Turn, TurnDrop, TurnError, TurnOutput, flow_of};
use crate::io::{Output, SocketId};

/// What an answer depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) client: Client,
    pub(super) method: Method,
    pub(super) transaction: TransactionId,
    /// Bytes of the request.
    pub(super) bytes: usize,
    /// The client has shown that it is where it says: it has a nonce that was sent there, or speaks on a stream.
    pub(super) validated: bool,
}

/// What an answer is authenticated with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seal<'a> {
    pub(super) key: &'a LongTermKey,
    pub(super) sha256: bool,
}

impl Turn {
    /// Answers a request.
    pub(super) fn answer(
        &self,
        cx: &mut Context<'_>,
        asked: &Asked,
        class: Class,
        seal: Option<Seal<'_>>,
        write: impl FnOnce(&mut StunWriter<'_>) -> Result<(), NoRoom>,
    ) -> Result<(), TurnDrop> {
        let mut buffer = [0; ANSWER_BYTES_MAX];
        let written = StunWriter::new(&mut buffer, class, asked.method, asked.transaction);
        let written = written.and_then(|mut writer| {
            write(&mut writer)?;
            match seal {
                None => {}
                Some(Seal { key, sha256: false }) => writer.integrity(&key[..])?,
                Some(Seal { key, sha256: true }) => writer.integrity_sha256(&key[..])?,
            }
            Ok(writer.written())
        });
        let length = written.map_err(|NoRoom| TurnDrop::NoRoom)?;
        // A request and its answer fall into the same instant: what holds of each pair holds of every second.
        if !asked.validated && length > asked.bytes * AMPLIFICATION_MAX {
            return Err(TurnDrop::Amplification);
        }
        self.send(cx, asked.client, &[&buffer[..length]], 0)
    }

    /// Refuses a request.
    pub(super) fn refuse(
        &self,
        cx: &mut Context<'_>,
        asked: &Asked,
        error: TurnError,
        unknown: &[AttributeKind],
        seal: Option<Seal<'_>>,
    ) -> Result<(), TurnDrop> {
        let challenged = matches!(error, TurnError::Unauthenticated | TurnError::StaleNonce);
        let nonce = self.nonces.issue(cx.now, asked.client);
        let realm = self.live.realm.clone();
        let seal = seal.filter(|_| !challenged);
        self.answer(cx, asked, Class::Error, seal, |writer| {
            writer.error_code(error.code(), "")?;
            if error == TurnError::UnknownAttribute {
                let mut list = [0; 2 * UNKNOWN_MAX];
                let kinds = unknown.iter().take(UNKNOWN_MAX);
                let length = kinds.len() * 2;
                for (place, kind) in list.chunks_exact_mut(2).zip(kinds) {
                    place.copy_from_slice(&kind.0.to_be_bytes());
                }
                writer.attribute(AttributeKind::UNKNOWN_ATTRIBUTES, &list[..length])?;
            }
            if challenged {
                writer.attribute(AttributeKind::REALM, realm.as_bytes())?;
                writer.attribute(AttributeKind::NONCE, &nonce)?;
            }
            Ok(())
        })?;
        cx.counters.refused(error);
        Ok(())
    }

    /// Sends parts, one behind the other and so many zeroes behind them, to a client.
    pub(super) fn send(
        &self,
        cx: &mut Context<'_>,
        client: Client,
        parts: &[&[u8]],
        padding: usize,
    ) -> Result<(), TurnDrop> {
        let made = cx.made.put_parts(parts, padding).ok_or(TurnDrop::NoRoom)?;
        cx.outputs.push_back(match flow_of(client) {
            Some(flow) => Output::Turn(TurnOutput::Message { flow, made }),
            None => {
                let socket = SocketId(u32::try_from(client.way).expect("a socket's number"));
                Output::TransmitCopy { socket, remote: client.address, made }
            }
        });
        Ok(())
    }
}

/// Longest answer: two addresses of IPv6, a token, a realm, a nonce and its like leave room.
const ANSWER_BYTES_MAX: usize = 512;

/// An answer to somebody who may not be there is at most so many times as long as what was asked.
pub(super) const AMPLIFICATION_MAX: usize = 3;

/// Attributes that are named as unknown; a request with more is told of the first ones.
pub(super) const UNKNOWN_MAX: usize = 16;
