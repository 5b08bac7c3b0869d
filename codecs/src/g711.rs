//! G.711: eight bits a sample, by A-law or µ-law.
//!
//! Supported: both laws of ITU-T G.711 (11/88), one byte a sample, as RTP
//! carries them under payload types 8 and 0. Not here: packet loss
//! concealment (appendix I), silence (appendix II).

/// One of the two companding laws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Law {
    /// A-law: PCMA, payload type 8.
    A,
    /// µ-law: PCMU, payload type 0.
    Mu,
}

impl Law {
    /// The code of one sample.
    pub fn encode(self, sample: i16) -> u8 {
        // Both laws fold the negative half onto the positive one by complement, so that -1 pairs with 0.
        let magnitude = usize::from((if sample < 0 { !sample } else { sample }).cast_unsigned());
        match self {
            Self::A => A_ENCODE[magnitude >> 4] ^ sign_bit(sample),
            Self::Mu => MU_ENCODE[magnitude >> 2] ^ sign_bit(sample),
        }
    }

    /// The sample of one code.
    pub const fn decode(self, code: u8) -> i16 {
        match self {
            Self::A => A_DECODE[code as usize],
            Self::Mu => MU_DECODE[code as usize],
        }
    }

    /// The code of silence.
    pub const fn silence(self) -> u8 {
        match self {
            Self::A => 0xd5,
            Self::Mu => 0xff,
        }
    }

    /// Encodes sample for sample; the longer slice keeps its rest.
    pub fn encode_slice(self, samples: &[i16], codes: &mut [u8]) {
        for (code, sample) in codes.iter_mut().zip(samples) {
            *code = self.encode(*sample);
        }
    }

    /// Decodes code for code; the longer slice keeps its rest.
    pub fn decode_slice(self, codes: &[u8], samples: &mut [i16]) {
        for (sample, code) in samples.iter_mut().zip(codes) {
            *sample = self.decode(*code);
        }
    }
}

/// The tables hold codes of positive samples; a negative one differs in the top bit, under both laws.
const fn sign_bit(sample: i16) -> u8 {
    if sample < 0 { 0x80 } else { 0 }
}

/// Even bits of an A-law code are inverted on the line (G.711 §3.2, table 1a note 2).
const A_LINE: u8 = 0x55;
/// All bits of a µ-law code are inverted on the line (G.711 table 2a).
const MU_LINE: u8 = 0xff;
/// What makes the segments of µ-law powers of two, in 14-bit units.
const MU_BIAS: u16 = 33;

/// Codes of positive samples by the upper 11 of their 15 bits.
static A_ENCODE: [u8; 2048] = {
    let mut table = [0; 2048];
    let mut magnitude = 0;
    while magnitude < 2048 {
        table[magnitude as usize] = a_code(magnitude) ^ A_LINE;
        magnitude += 1;
    }
    table
};

/// Codes of positive samples by the upper 13 of their 15 bits.
static MU_ENCODE: [u8; 8192] = {
    let mut table = [0; 8192];
    let mut magnitude = 0;
    while magnitude < 8192 {
        table[magnitude as usize] = mu_code(magnitude) ^ MU_LINE;
        magnitude += 1;
    }
    table
};

static A_DECODE: [i16; 256] = {
    let mut table = [0; 256];
    let mut line = 0_u8;
    loop {
        let code = line ^ A_LINE;
        let (segment, step) = (code >> 4 & 7, (code & 15) as i16);
        // Middle of the interval, in 13-bit units (table 1a, column 7), times 8.
        let magnitude = match segment {
            0 => 2 * step + 1,
            _ => (2 * step + 33) << (segment - 1),
        };
        table[line as usize] = if code & 0x80 != 0 { magnitude * 8 } else { -magnitude * 8 };
        if line == u8::MAX {
            break table;
        }
        line += 1;
    }
};

static MU_DECODE: [i16; 256] = {
    let mut table = [0; 256];
    let mut line = 0_u8;
    loop {
        let code = line ^ MU_LINE;
        let (segment, step) = (code >> 4 & 7, (code & 15) as i16);
        // Middle of the interval, in 14-bit units (table 2a, column 7), times 4.
        let magnitude = ((2 * step + 33) << segment) - 33;
        table[line as usize] = if code & 0x80 == 0 { magnitude * 4 } else { -magnitude * 4 };
        if line == u8::MAX {
            break table;
        }
        line += 1;
    }
};

/// A-law code of a positive magnitude below 2048, before inversion for the line: sign, segment, step.
#[expect(clippy::cast_possible_truncation, reason = "segment is below 8 and step below 16")]
const fn a_code(magnitude: u16) -> u8 {
    let bits = u16::BITS - magnitude.leading_zeros();
    let segment = bits.saturating_sub(4);
    let step = if segment > 1 { magnitude >> (segment - 1) } else { magnitude };
    0x80 | (segment as u8) << 4 | (step & 15) as u8
}

/// µ-law code of a positive magnitude below 8192, before inversion for the line; above 8158 it clips.
#[expect(clippy::cast_possible_truncation, reason = "segment is below 8 and step below 16")]
const fn mu_code(magnitude: u16) -> u8 {
    let clipped = if magnitude > 8158 { 8158 } else { magnitude };
    let biased = clipped + MU_BIAS;
    let segment = (u16::BITS - biased.leading_zeros()) - 6;
    (segment as u8) << 4 | (biased >> (segment + 1) & 15) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends and middle of tables 1a, 1b, 2a and 2b of G.711, scaled to 16 bits.
    #[test]
    fn corner_values_of_the_recommendation() {
        let a = [(0xaa, 32_256), (0x2a, -32_256), (0xd5, 8), (0x55, -8), (0x80, 5504), (0x00, -5504)];
        for (code, sample) in a {
            assert_eq!(Law::A.decode(code), sample, "A-law {code:#x}");
        }
        let mu = [(0x80, 32_124), (0x00, -32_124), (0xff, 0), (0x7f, 0), (0xfe, 8), (0x7e, -8), (0xf0, 120)];
        for (code, sample) in mu {
            assert_eq!(Law::Mu.decode(code), sample, "µ-law {code:#x}");
        }
    }

    /// Each interval of the tables reaches half its width to both sides of the value in its middle.
    #[test]
    fn every_sample_gets_the_code_of_its_interval() {
        for sample in i16::MIN..=i16::MAX {
            let code = Law::A.encode(sample);
            let segment = (code ^ A_LINE) >> 4 & 7;
            let error = Law::A.decode(code).abs_diff(sample);
            assert!(error <= 8 << segment.saturating_sub(1), "A-law {sample}");

            let code = Law::Mu.encode(sample);
            let segment = (code ^ MU_LINE) >> 4 & 7;
            let error = Law::Mu.decode(code).abs_diff(sample);
            let clipped = sample.unsigned_abs() > 32_636;
            assert!(error <= 4 << segment || clipped && code & 0x7f == 0, "µ-law {sample}");
        }
    }

    #[test]
    fn codes_rise_with_the_sample() {
        for law in [Law::A, Law::Mu] {
            let decoded = (i16::MIN..=i16::MAX).map(|sample| law.decode(law.encode(sample)));
            assert!(decoded.is_sorted(), "{law:?}");
        }
    }

    #[test]
    fn every_code_survives_but_negative_zero_of_mu_law() {
        for code in 0..=255 {
            assert_eq!(Law::A.encode(Law::A.decode(code)), code);
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(Law::Mu.encode(Law::Mu.decode(code)), expected);
        }
    }

    #[test]
    fn silence_is_the_code_of_zero() {
        for law in [Law::A, Law::Mu] {
            assert_eq!(law.encode(0), law.silence());
        }
    }

    #[test]
    fn slices_convert_one_for_one_up_to_the_shorter() {
        let mut codes = [0x11; 3];
        Law::Mu.encode_slice(&[0, 32_767], &mut codes);
        assert_eq!(codes, [0xff, 0x80, 0x11]);
        let mut samples = [1; 2];
        Law::Mu.decode_slice(&codes, &mut samples);
        assert_eq!(samples, [0, 32_124]);
    }
}
