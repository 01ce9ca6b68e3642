//! Finding a CPF in what people wrote.
//!
//! One in a hundred 11-digit numbers passes the check digits, mobiles included, so the form and the neighbourhood of a
//! number count as much as its digits. A masked number (`***.456.789-**`) is never a value.

use super::cpf::Cpf;
use super::phone::is_plausible_mobile;

/// The most believable CPF of some texts: one written `NNN.NNN.NNN-NN`, else one that follows the word CPF or
/// "documento", else eleven bare digits that are neither a plausible mobile nor one of `phones` (digits only).
pub(super) fn find(texts: &[String], phones: &[String]) -> Option<Cpf> {
    let texts: Vec<Vec<char>> = texts.iter().map(|text| text.chars().collect()).collect();
    let first = |search: &dyn Fn(&[char]) -> Option<Cpf>| texts.iter().find_map(|text| search(text));
    first(&punctuated).or_else(|| first(&labelled)).or_else(|| first(&|text| bare(text, phones)))
}

fn punctuated(text: &[char]) -> Option<Cpf> {
    (0..text.len())
        .find_map(|at| read(text, at, |separator, place| separator == Some(['.', '.', '-'][place])))
}

fn labelled(text: &[char]) -> Option<Cpf> {
    let lower: Vec<char> = text.iter().map(char::to_ascii_lowercase).collect();
    ["cpf", "documento"].iter().find_map(|label| {
        let label: Vec<char> = label.chars().collect();
        (0..lower.len()).filter(|at| lower[*at..].starts_with(&label)).find_map(|at| {
            // "CPF nº: 529…": a few characters may stand between, but no mask and no other line.
            let start = at + label.len();
            let gap = text[start..].iter().take(16).take_while(|c| !c.is_ascii_digit());
            if gap.clone().any(|c| *c == '\n' || is_mask(*c)) {
                return None;
            }
            let loosely = |separator: Option<char>, _| separator.is_none_or(|c| ". -/".contains(c));
            read(text, start + gap.count(), loosely)
        })
    })
}

fn bare(text: &[char], phones: &[String]) -> Option<Cpf> {
    let apart = |c: Option<&char>| c.is_none_or(|c| c.is_whitespace() || ",;:.()[]\"'!?".contains(*c));
    (0..text.len()).find_map(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        if !apart(before) || !apart(text.get(at + 11)) {
            return None;
        }
        let cpf = read(text, at, |separator, _| separator.is_none())?;
        let digits = cpf.digits();
        (!is_plausible_mobile(&digits) && !phones.contains(&digits)).then_some(cpf)
    })
}

/// Reads 3, 3, 3 and 2 digits from `at` on, with the separators that `allowed` wants in the three gaps (`None`: nothing
/// stands there), if they are no part of a longer number.
fn read(text: &[char], at: usize, allowed: impl Fn(Option<char>, usize) -> bool) -> Option<Cpf> {
    if !text.get(at)?.is_ascii_digit() {
        return None;
    }
    let mut digits = String::with_capacity(11);
    let mut end = at;
    for (place, length) in [3, 3, 3, 2].into_iter().enumerate() {
        if let Some(gap) = place.checked_sub(1) {
            let separator = text.get(end).copied().filter(|c| !c.is_ascii_digit());
            if !allowed(separator, gap) {
                return None;
            }
            end += usize::from(separator.is_some());
        }
        let group = text.get(end..end + length)?;
        if !group.iter().all(char::is_ascii_digit) {
            return None;
        }
        digits.extend(group);
        end += length;
    }
    let joined = |near: Option<&char>, beyond: Option<&char>| {
        near.is_some_and(|c| {
            c.is_ascii_digit()
                || is_mask(*c)
                || (".-/,".contains(*c) && beyond.is_some_and(|c| c.is_ascii_digit() || is_mask(*c)))
        })
    };
    let back = |distance: usize| at.checked_sub(distance).and_then(|index| text.get(index));
    if joined(back(1), back(2)) || joined(text.get(end), text.get(end + 1)) {
        return None;
    }
    Cpf::parse(&digits)
}

/// What people hide digits with. A letter x hides digits only among digits, and there it is no digit either.
fn is_mask(c: char) -> bool {
    matches!(c, '*' | '•' | '●' | '#')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Option<String> {
        find(&[text.to_owned()], &["11144477735".to_owned()]).map(Cpf::formatted)
    }

    #[test]
    fn it_is_found_in_its_written_form_anywhere() {
        for text in [
            "529.982.247-25",
            "meu cpf é 529.982.247-25.",
            "CPF529.982.247-25",
            "Nº529.982.247-25/SP",
            "nome\n529.982.247-25\nfim",
            "tel 11 98765-4321, 529.982.247-25",
        ] {
            assert_eq!(found(text).as_deref(), Some("529.982.247-25"), "{text}");
        }
    }

    #[test]
    fn after_its_name_looser_forms_count() {
        for text in [
            "CPF52998224725",
            "cpf: 529 982 247 25",
            "Cpf nº 529982247-25",
            "documento do cliente 52998224725",
            "CPF/CNPJ: 52998224725 tel 11987654321",
            "CPF 52998224725 11987654321",
        ] {
            assert_eq!(found(text).as_deref(), Some("529.982.247-25"), "{text}");
        }
    }

    #[test]
    fn bare_digits_count_if_they_are_no_telephone() {
        assert_eq!(found("segue 52998224725, obrigado").as_deref(), Some("529.982.247-25"));
        assert_eq!(found("segue 11144477735").as_deref(), None, "the lead's own telephone");
        // A mobile of São Paulo that passes the check digits.
        let mobile =
            (0..1000u32).map(|n| format!("119876{n:05}")).find(|text| Cpf::parse(text).is_some()).unwrap();
        assert_eq!(found(&mobile), None);
        assert_eq!(found(&format!("CPF {mobile}")).map(|cpf| cpf.replace(['.', '-'], "")), Some(mobile));
    }

    #[test]
    fn parts_of_other_numbers_and_masks_are_no_cpf() {
        for text in [
            "529.982.247-24",
            "1529.982.247-25",
            "529.982.247-251",
            "1.529.982.247-25",
            "529.982.247-25-1",
            "***.982.247-**",
            "*529.982.247-25",
            "CPF ***.982.247-** 52998224725x",
            "00000000000191",
            "CNPJ 11.222.333/0001-81",
            "documento 11222333000181",
            "pedido AB52998224725",
            "https://exemplo/52998224725",
            "+52998224725",
            "529982247255",
            "cpf\n\n529-982-247",
            "",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn the_clearest_form_wins_over_an_earlier_one() {
        let texts = ["111 444 777 35 52998224725".to_owned(), "doc 123.456.789-09".to_owned()];
        assert_eq!(find(&texts, &[]).map(Cpf::formatted).as_deref(), Some("123.456.789-09"));
    }

    proptest! {
        #[test]
        fn any_text_is_safe_to_search(text in "(cpf|[0-9]{1,12}|[-. /*]|.){0,30}") {
            if let Some(cpf) = find(std::slice::from_ref(&text), &[]) {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                prop_assert!(digits.contains(&cpf.digits()));
            }
        }
    }
}
