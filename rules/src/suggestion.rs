// SPDX-License-Identifier: Apache-2.0
//! "Did you mean": the known name that is closest to an unknown one.

/// Edits after which a name is no longer a typo of another.
const MAX_DISTANCE: usize = 3;

/// A help line that names the closest candidate, if one is close.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let limit = MAX_DISTANCE.min(name.chars().count() / 3);
    let close = candidates.into_iter().filter(|candidate| *candidate != name);
    let closest = close.map(|candidate| (distance(name, candidate), candidate)).min()?;
    (closest.0 <= limit).then(|| format!("did you mean `{}`?", closest.1))
}

/// Edit distance in which swapping two neighbours counts once.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    if left.len().abs_diff(right.len()) > MAX_DISTANCE {
        return usize::MAX;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, c) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, d) in right.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&last, column) + usize::from(c != *d);
            let mut best = replaced.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            let swapped = column > 0 && previous == Some(*d) && right.get(column - 1) == Some(&c);
            if swapped {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
        }
        previous = Some(c);
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_close_names_are_suggested() {
        assert_eq!(did_you_mean("proc.nmae", ["proc.name", "fd.name"]), Some("did you mean `proc.name`?".to_owned()));
        assert_eq!(did_you_mean("opne", ["open", "openat"]), Some("did you mean `open`?".to_owned()));
        assert_eq!(did_you_mean("foo", ["spawned_process", "bar"]), None);
    }
}
