//! The vectors of RFC 3711 appendix B, RFC 6188 §7 and RFC 7714 §16 and §17.

use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16};
use aes::{Aes128Enc, Aes192Enc, Aes256Enc};

use crate::srtp::MasterKey;
use crate::srtp::counter_mode::{apply_keystream, counter};
use crate::srtp::derivation::{Label, derive};
use crate::srtp::gcm::{Cipher, Gcm};
use crate::srtp::transform::{RtcpIndex, RtpIndex, Transform};
use crate::units::Ssrc;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).map(|digit| u8::try_from(digit).unwrap()).collect();
    digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect()
}

/// The first and the last three of 65 282 blocks of keystream of index 0.
fn assert_keystream<C>(key: &str, first: &str, last: &str)
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
    let mut stream = vec![0; 0xff02 * 16];
    apply_keystream(&C::new_from_slice(&hex(key)).unwrap(), counter(&salt, Ssrc(0), 0), &mut stream);
    assert_eq!(stream[..48], hex(first));
    assert_eq!(stream[stream.len() - 48..], hex(last));
}

#[test]
fn rfc3711_appendix_b2_keystream_of_128_bits() {
    assert_keystream::<Aes128Enc>(
        "2B7E151628AED2A6ABF7158809CF4F3C",
        "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0",
        "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44",
    );
}

#[test]
fn rfc6188_section_7_1_keystream_of_256_bits() {
    assert_keystream::<Aes256Enc>(
        "57f82fe3613fd170a85ec93c40b1f092 2ec4cb0dc025b58272147cc438944a98",
        "92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac 63c4868b7096d88421b563b8c94c9a31",
        "cea518c90fd91ced9cbb18c078a54711 3dbc4814f4da5f00a08772b63c6a046d 6eb246913062a16891433e97dd01a57f",
    );
}

#[test]
fn rfc6188_section_7_3_keystream_of_192_bits() {
    assert_keystream::<Aes192Enc>(
        "eab234764e517b2d3d160d587d8c8621 9740f65f99b6bcf7",
        "35096cba4610028dc1b57503804ce37c 5de986291dcce161d5165ec4568f5c9a 474a40c77894bc17180202272a4c264d",
        "d108d1a31a00bad6367ec23eb044b415 c8f57129fdeb970b59f917b257662d4c a5dab625811034e8cebdfeb6dc158dd3",
    );
}

/// The encryption key, salt and authentication key of RTP.
fn assert_derived(master: (&str, &str), key: &str, salt: &str, authentication: &str) {
    let master = MasterKey::new(&hex(master.0), &hex(master.1)).unwrap();
    for (label, wanted) in
        [(Label::RtpEncryption, key), (Label::RtpSalt, salt), (Label::RtpAuthentication, authentication)]
    {
        let wanted = hex(wanted);
        let mut derived = vec![0xff; wanted.len()];
        derive(&master, label, &mut derived);
        assert_eq!(derived, wanted, "{label:?}");
    }
}

#[test]
fn rfc3711_appendix_b3_derivation_of_128_bits() {
    assert_derived(
        ("E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEEBB6960B3AABE6"),
        "C61E7A93744F39EE10734AFE3FF7A087",
        "30CBBC08863D8C85D49DB34A9AE1",
        "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098
         6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2",
    );
}

#[test]
fn rfc6188_section_7_2_derivation_of_256_bits() {
    assert_derived(
        ("f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6", "3b04803de51ee7c96423ab5b78d2"),
        "5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4",
        "fa31791685ca444a9e07c6c64e93",
        "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
    );
}

#[test]
fn rfc6188_section_7_4_derivation_of_192_bits() {
    assert_derived(
        ("73edc66c4fa15776fb57f9505c171365 50ffda71f3e8e5f1", "c8522f3acd4ce86d5add78edbb11"),
        "31874736a8f1143870c26e4857d8a5b2 c4a354407faadabb",
        "2372b82d639b6d8503a47adc0a6c",
        "355b10973cd95b9eacf4061c7e1a7151e7cfbfcb",
    );
}

/// The session key of RFC 7714 §16 and §17: 00 01 02 and so on, with "Quid pro quo" as salt.
fn gcm<C: Cipher>() -> Gcm<C> {
    let key: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    Gcm::of_session(&key[..C::key_size()], b"Quid pro quo")
}

const RTP: &str = "8040f17b8041f8d35501a0b2
    47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
const RTP_AT: RtpIndex = RtpIndex { ssrc: Ssrc(0x5501_a0b2), index: 0xf17b };

/// Both ways, with `header_bytes` that are authenticated only.
fn assert_rtp(gcm: &impl Transform, header_bytes: usize, body: &str, tag: &str) {
    let (mut packet, tag) = (hex(RTP), hex(tag));
    assert_eq!(gcm.seal_rtp(&mut packet, header_bytes, RTP_AT)[..16], tag);
    assert_eq!(packet[header_bytes..], hex(body));
    assert!(gcm.open_rtp(&mut packet, header_bytes, &tag, RTP_AT));
    assert_eq!(packet, hex(RTP));
}

#[test]
fn rfc7714_section_16_1_rtp_under_128_bits() {
    let body = "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833";
    assert_rtp(&gcm::<Aes128Enc>(), 12, body, "899d7f27beb16a9152cf765ee4390cce");
    assert_rtp(&gcm::<Aes128Enc>(), 50, "", "22493f82d2bce397e9d79e3b19aa4216");
}

#[test]
fn rfc7714_section_16_2_rtp_under_256_bits() {
    let body = "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b";
    assert_rtp(&gcm::<Aes256Enc>(), 12, body, "7aa3db36dfffd6b0f9bb7878d7a76c13");
    assert_rtp(&gcm::<Aes256Enc>(), 50, "", "a866d5910f887463067ceefec45215d4");
}

const RTCP: &str = "81c8000d4d617273
    4e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

fn assert_rtcp(gcm: &impl Transform, encrypted: bool, body: &str, tag: &str) {
    let at = RtcpIndex { ssrc: Ssrc(0x4d61_7273), index: 0x5d4, encrypted };
    let (plain, tag) = (hex(RTCP), hex(tag));
    let mut packet = plain.clone();
    assert_eq!(gcm.seal_rtcp(&mut packet, at)[..16], tag);
    assert_eq!(packet[8..], hex(body));
    assert!(gcm.open_rtcp(&mut packet, &tag, at));
    assert_eq!(packet, plain);
    assert_eq!(at.word(), if encrypted { [0x80, 0, 0x05, 0xd4] } else { [0, 0, 0x05, 0xd4] });
}

#[test]
fn rfc7714_sections_17_1_and_17_3_rtcp_under_128_bits() {
    let body = "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b";
    assert_rtcp(&gcm::<Aes128Enc>(), true, body, "c84aa45896cf4d2fc5abf87245d9eade");
    assert_rtcp(&gcm::<Aes128Enc>(), false, &RTCP[16..], "841dd9683dd78ec92ae58790125f62b3");
}

#[test]
fn rfc7714_sections_17_2_and_17_4_rtcp_under_256_bits() {
    let body = "d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad";
    assert_rtcp(&gcm::<Aes256Enc>(), true, body, "1d1eb30c4446839f57ff6f6cb26ac3be");
    assert_rtcp(&gcm::<Aes256Enc>(), false, &RTCP[16..], "91db4afbfeee5a978fab4393ed2615fe");
}
