//! Whether two names may be of one person.

/// Lower case, without accents, marks and repeated blanks.
pub(super) fn normalise(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'á' | 'à' | 'â' | 'ã' | 'ä' => plain.push('a'),
            'é' | 'è' | 'ê' | 'ë' => plain.push('e'),
            'í' | 'ì' | 'î' | 'ï' => plain.push('i'),
            'ó' | 'ò' | 'ô' | 'õ' | 'ö' => plain.push('o'),
            'ú' | 'ù' | 'û' | 'ü' => plain.push('u'),
            'ç' => plain.push('c'),
            'ñ' => plain.push('n'),
            // An accent that stands as a character of its own.
            '\u{300}'..='\u{36f}' | '\'' | '.' => {}
            c if c.is_alphanumeric() => plain.push(c),
            _ if plain.ends_with(' ') => {}
            _ => plain.push(' '),
        }
    }
    plain.trim().to_owned()
}

/// How alike two names are, from 0 to 1: one minus the share of letters that would have to change.
pub(super) fn similarity(one: &str, other: &str) -> f64 {
    let (one, other) = (normalise(one), normalise(other));
    let longest = one.chars().count().max(other.chars().count());
    if longest == 0 {
        return 0.0;
    }
    let changes = u32::try_from(edits(&one, &other)).unwrap_or(u32::MAX);
    1.0 - f64::from(changes) / f64::from(u32::try_from(longest).unwrap_or(u32::MAX))
}

/// Whether the shorter name may be a short form of the longer: the first names are alike, and every other part of it
/// occurs there.
pub(super) fn compatible(one: &str, other: &str) -> bool {
    let (one, other) = (normalise(one), normalise(other));
    let parts = |name: &str| -> Vec<String> {
        let particle = |part: &str| matches!(part, "de" | "da" | "do" | "das" | "dos" | "e");
        name.split(' ').filter(|part| !part.is_empty() && !particle(part)).map(str::to_owned).collect()
    };
    let (mut short, mut long) = (parts(&one), parts(&other));
    if short.len() > long.len() {
        std::mem::swap(&mut short, &mut long);
    }
    let alike = |a: &String, b: &String| similarity(a, b) >= 0.8;
    match (short.first(), long.first()) {
        (Some(a), Some(b)) => {
            alike(a, b) && short.iter().all(|part| long.iter().any(|whole| alike(part, whole)))
        }
        _ => false,
    }
}

/// Levenshtein's distance, in characters.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_compared_without_case_and_accents() {
        assert_eq!(normalise("  JOÃO  D'Ávila-Conceição "), "joao davila conceicao");
        assert_eq!(normalise("Joa\u{303}o"), "joao");
        assert!((similarity("João da Conceição", "JOAO DA CONCEICAO") - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_typing_error_is_alike_and_another_person_is_not() {
        assert!(similarity("Maria Aparecida Souza", "MARIA APARECIDA SOUSA") >= 0.7);
        assert!(similarity("Maria Souza", "MARIA APARECIDA DE SOUZA LIMA") < 0.7);
        assert!(similarity("Maria Souza", "PEDRO ALVES") < 0.7);
        assert!(similarity("", "") < 0.7, "two unknown names are not one person");
    }

    #[test]
    fn a_short_form_is_compatible_with_the_whole_name() {
        assert!(compatible("Maria", "MARIA APARECIDA DE SOUZA"));
        assert!(compatible("Maria Souza", "MARIA APARECIDA DE SOUZA"));
        assert!(compatible("MARIA APARECIDA DE SOUZA", "Maria de Souza"));
        assert!(!compatible("Mario Lima", "MARIA APARECIDA DE SOUZA"));
        assert!(!compatible("Aparecida", "MARIA APARECIDA DE SOUZA"));
        assert!(!compatible("", "MARIA"));
    }

    proptest! {
        #[test]
        fn similarity_is_symmetric_and_bounded(one in ".{0,20}", other in ".{0,20}") {
            let value = similarity(&one, &other);
            prop_assert!((0.0..=1.0).contains(&value));
            prop_assert!((value - similarity(&other, &one)).abs() < f64::EPSILON);
        }
    }
}
