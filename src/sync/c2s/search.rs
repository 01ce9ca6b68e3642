//! From a contact to the CPF of its person.

use super::contact::Contact;
use super::cpf::Cpf;
use super::names;
use super::work_api::{Hits, WorkApi};
use crate::queue::HandlerError;

/// Shorter names are too common to search.
const SHORTEST_NAME: usize = 5;
/// A name with more hits names nobody in particular.
const MOST_NAMESAKES: usize = 20;
/// How alike a hit's name must be when nothing but the name found it.
const LIKENESS: f64 = 0.7;

/// What led to a CPF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// The lead's own text.
    Text,
    /// Its telephone.
    Phone,
    /// Its e-mail.
    Email,
    /// Both, to the same person.
    PhoneAndEmail,
    /// Its name.
    Name,
}

impl Source {
    /// For operators.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Phone => "phone",
            Self::Email => "e-mail",
            Self::PhoneAndEmail => "phone and e-mail",
            Self::Name => "name",
        }
    }
}

/// A CPF and what led to it.
pub(super) type Lookup = (Cpf, Source);

/// The CPFs to enrich: that of the text, else those found by telephone and e-mail (two if they differ), else the only
/// one that the name finds. Empty where nobody is found.
pub(super) async fn find(work: &WorkApi, contact: &Contact) -> Result<Vec<Lookup>, HandlerError> {
    if let Some(cpf) = contact.cpf {
        return Ok(vec![(cpf, Source::Text)]);
    }
    let by_phone = match &contact.phone {
        Some(phone) => first(&*work.by_phone(phone).await?),
        None => None,
    };
    let by_email = match &contact.email {
        Some(email) => first(&*work.by_email(email).await?),
        None => None,
    };
    if by_phone.is_some() && by_phone == by_email {
        return Ok(by_phone.map(|cpf| (cpf, Source::PhoneAndEmail)).into_iter().collect());
    }
    let found = [(by_phone, Source::Phone), (by_email, Source::Email)];
    let found: Vec<Lookup> = found.into_iter().filter_map(|(cpf, source)| Some((cpf?, source))).collect();
    match &contact.name {
        Some(name) if found.is_empty() && name.chars().count() >= SHORTEST_NAME => {
            let cpf = only_namesake(name, &*work.by_name(name).await?);
            Ok(cpf.map(|cpf| (cpf, Source::Name)).into_iter().collect())
        }
        _ => Ok(found),
    }
}

fn first(hits: &Hits) -> Option<Cpf> {
    hits.people.first().map(|hit| hit.cpf)
}

/// The person that the name finds, if there is no doubt which one it is.
fn only_namesake(name: &str, hits: &Hits) -> Option<Cpf> {
    if hits.total > MOST_NAMESAKES {
        return None;
    }
    let alike = |found: Option<&str>| found.is_some_and(|found| names::similarity(name, found) >= LIKENESS);
    let mut namesakes = hits.people.iter().filter(|hit| alike(hit.name.as_deref())).map(|hit| hit.cpf);
    let only = namesakes.next()?;
    namesakes.all(|other| other == only).then_some(only)
}

#[cfg(test)]
mod tests {
    use super::super::work_api::Hit;
    use super::*;

    const ANA: &str = "52998224725";
    const OTHER: &str = "11144477735";

    fn hits(people: &[(&str, &str)]) -> Hits {
        let hit = |(cpf, name): &(&str, &str)| Hit {
            cpf: Cpf::parse(cpf).unwrap(),
            name: Some((*name).to_owned()),
        };
        Hits { total: people.len(), people: people.iter().map(hit).collect() }
    }

    fn only(people: &[(&str, &str)]) -> Option<String> {
        only_namesake("Ana Beatriz Lima", &hits(people)).map(Cpf::digits)
    }

    #[test]
    fn a_name_finds_a_person_only_without_doubt() {
        assert_eq!(only(&[(ANA, "ANA BEATRIZ LIMA"), (OTHER, "PEDRO ALVES")]).as_deref(), Some(ANA));
        assert_eq!(only(&[(ANA, "ANA BEATRIZ LIMA"), (ANA, "ANA BEATRIS LIMA")]).as_deref(), Some(ANA));
        assert_eq!(only(&[(ANA, "ANA BEATRIZ LIMA"), (OTHER, "ANA BEATRIZ LIMA")]), None);
        assert_eq!(only(&[(OTHER, "PEDRO ALVES")]), None);
        assert_eq!(only(&[]), None);
        let mut many = hits(&[(ANA, "ANA BEATRIZ LIMA")]);
        many.total = MOST_NAMESAKES + 1;
        assert_eq!(only_namesake("Ana Beatriz Lima", &many), None);
    }
}
