//! Lists of cores, written as `0-3,6`.

/// The cores of a list, in the order written.
pub(super) fn parse(text: &str) -> Result<Vec<usize>, String> {
    let mut cores = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|core| *core < CORES_MAX);
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            return Err(format!("`{part}` is neither a core nor a range of cores"));
        };
        if first > last {
            return Err(format!("`{part}` is a range upside down"));
        }
        cores.extend(first..=last);
    }
    let mut sorted = cores.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != cores.len() {
        return Err("a core is named twice".to_owned());
    }
    Ok(cores)
}

/// The kernel's own bound on the number of a core.
const CORES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_and_ranges_are_read() {
        assert_eq!(parse("0"), Ok(vec![0]));
        assert_eq!(parse("6, 0-3"), Ok(vec![6, 0, 1, 2, 3]));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "a", "1-", "-1", "2-1", "0,0", "1-3,2", "0-99999999999"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
