//! The DSCP byte of a call (`TOS`): said by its offers, of effect for whatever is sent in it.

use std::collections::VecDeque;

use ng::Tos;

use crate::{call::Call, io::Output, socket::Sockets};

/// Takes over what an offer says: sockets that are open send with it from now on, those that are opened next too.
/// `default` is the engine's.
pub(super) fn offered(
    call: &mut Call,
    asked: Tos,
    default: u8,
    sockets: &mut Sockets,
    outputs: &mut VecDeque<Output>,
) {
    call.tos = match asked {
        Tos::Default => None,
        Tos::Keep => return,
        Tos::Byte(tos) => Some(tos),
    };
    let tos = call.tos.unwrap_or(default);
    let medias = call.legs.iter().flatten().flat_map(|leg| &leg.medias);
    for shown in medias.flat_map(|media| &media.pairs) {
        sockets.set_tos(shown.pair, tos, outputs);
    }
}
