//! Session keys from master keys (RFC 3711 §4.3, RFC 6188 §3, RFC 7714 §11), with a key derivation rate of 0.

use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16};
use aes::{Aes128Enc, Aes192Enc, Aes256Enc};

use super::MasterKey;
use super::counter_mode::apply_keystream;

/// What a session key is for (RFC 3711 §4.3.1 and §4.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// Fills `session` with the key or salt that `master` gives for `label`.
///
/// # Panics
/// If the master key has no length of AES; a checked policy has none such.
pub(super) fn derive(master: &MasterKey, label: Label, session: &mut [u8]) {
    match master.key().len() {
        16 => derive_by::<Aes128Enc>(master, label, session),
        24 => derive_by::<Aes192Enc>(master, label, session),
        _ => derive_by::<Aes256Enc>(master, label, session),
    }
}

fn derive_by<C>(master: &MasterKey, label: Label, session: &mut [u8])
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let cipher = C::new_from_slice(master.key()).expect("a policy checks the length of its keys");
    // The salt of 112 bits above 16 bits of block counter; one of 96 bits ends in zeros (RFC 7714 §11).
    let mut block = [0; 16];
    block[..master.salt().len()].copy_from_slice(master.salt());
    block[7] ^= label as u8;
    session.fill(0);
    apply_keystream(&cipher, u128::from_be_bytes(block), session);
}
