//! How a lead can be looked up, and the fingerprint by which a lookup is remembered without keeping any of it.

use super::cpf::Cpf;
use super::lead::Lead;
use super::phone::Phone;
use super::{cpf_text, names};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What of a lead can be looked up. Holds personal data: it has no `Debug`.
pub(super) struct Contact {
    /// Name as it was typed.
    pub(super) name: Option<String>,
    /// The first telephone that is one.
    pub(super) phone: Option<Phone>,
    /// E-mail in lower case, if it is a believable one.
    pub(super) email: Option<String>,
    /// CPF that stands in the lead's text.
    pub(super) cpf: Option<Cpf>,
    blank: bool,
}

impl Contact {
    /// Brings a lead's data to one form; what is not usable is dropped.
    pub(super) fn of(lead: &Lead) -> Self {
        let mut own_numbers: Vec<String> =
            lead.phones.iter().map(|phone| phone.chars().filter(char::is_ascii_digit).collect()).collect();
        let mut phones = lead.phones.iter().filter_map(|phone| Phone::parse(phone)).peekable();
        let phone = phones.peek().cloned();
        own_numbers.extend(phones.map(|phone| phone.national().to_owned()));
        let cpf = cpf_text::find(&lead.texts, &own_numbers);
        Self {
            name: lead.name.clone(),
            phone,
            email: lead.email.as_deref().and_then(believable_email),
            cpf,
            blank: lead.name.is_none() && lead.phones.is_empty() && lead.email.is_none() && cpf.is_none(),
        }
    }

    /// Whether the lead says nothing at all about anybody.
    pub(super) fn is_blank(&self) -> bool {
        self.blank
    }

    /// A keyed hash of the lead's id and all that would be looked up: the same for the same contact, whatever way it is
    /// written, and useless to anybody without the key.
    pub(super) fn fingerprint(&self, key: &[u8; 32], lead_id: &str) -> Fingerprint {
        let name = self.name.as_deref().map(names::normalise);
        let phone = self.phone.as_ref().map(|phone| phone.national().to_owned());
        let parts = [Some(lead_id.to_owned()), phone, self.email.clone(), name, self.cpf.map(Cpf::digits)];
        let mut message = Vec::new();
        for part in parts.map(Option::unwrap_or_default) {
            // The length keeps apart what would run together.
            message.extend_from_slice(&part.len().to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        Fingerprint(mac(key, &message))
    }
}

/// Names a lead with its contact, as the table and the marker in the message do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fingerprint(pub(super) [u8; 32]);

impl Fingerprint {
    /// Short form for the message.
    pub(super) fn marker(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

/// HMAC-SHA256.
pub(super) fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // An HMAC takes a key of any length.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(message).finalize().into_bytes().into())
        .unwrap_or_default()
}

/// Lower-cased, if it has the form of an address and not that of a placeholder.
fn believable_email(text: &str) -> Option<String> {
    let email = text.trim().to_lowercase();
    let (local, domain) = email.split_once('@')?;
    let label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let local_ok = !local.is_empty()
        && local.len() <= 64
        && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c));
    let domain_ok = domain.contains('.') && domain.split('.').all(label);
    let placeholder = ["999999", "111111", "000000", "123456789"].iter().any(|junk| email.contains(junk));
    (local_ok && domain_ok && !placeholder && email.len() <= 254).then_some(email)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lead(name: &str, phone: &str, email: &str, text: &str) -> Lead {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Lead {
            has_customer: true,
            name: some(name),
            phones: some(phone).into_iter().collect(),
            email: some(email),
            texts: some(text).into_iter().collect(),
        }
    }

    fn fingerprint(lead: &Lead) -> Fingerprint {
        Contact::of(lead).fingerprint(&[7; 32], "77")
    }

    #[test]
    fn a_contact_written_in_another_way_has_the_same_fingerprint() {
        let one =
            fingerprint(&lead("João Silva", "+55 (11) 98765-4321", "Joao@Exemplo.com", "cpf 529.982.247-25"));
        let same =
            fingerprint(&lead("JOAO  SILVA", "11987654321", "joao@exemplo.com ", "CPF: 52998224725 ok"));
        assert_eq!(one, same);
        assert_eq!(one.marker().len(), 8);
    }

    #[test]
    fn any_change_that_could_find_somebody_else_changes_the_fingerprint() {
        let all = [
            lead("Joao Silva", "11987654321", "joao@exemplo.com", ""),
            lead("Joao Souza", "11987654321", "joao@exemplo.com", ""),
            lead("Joao Silva", "11987654322", "joao@exemplo.com", ""),
            lead("Joao Silva", "11987654321", "jose@exemplo.com", ""),
            lead("Joao Silva", "11987654321", "", ""),
            lead("Joao Silva", "11987654321", "joao@exemplo.com", "529.982.247-25"),
        ];
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert_ne!(fingerprint(one), fingerprint(other));
            }
        }
        let contact = Contact::of(&all[0]);
        assert_ne!(contact.fingerprint(&[7; 32], "77"), contact.fingerprint(&[7; 32], "78"), "another lead");
        assert_ne!(contact.fingerprint(&[7; 32], "77"), contact.fingerprint(&[8; 32], "77"), "another key");
    }

    #[test]
    fn the_first_usable_telephone_is_taken_and_none_of_them_is_a_cpf() {
        let mut lead = lead("Ana", "", "", "ligue 11144477735");
        lead.phones = vec!["98765-4321".to_owned(), "11 3333-4444".to_owned(), "111.444.777-35".to_owned()];
        let contact = Contact::of(&lead);
        assert_eq!(contact.phone.unwrap().national(), "1133334444");
        assert_eq!(contact.cpf, None);
    }

    #[test]
    fn a_lead_that_names_nobody_is_blank() {
        assert!(Contact::of(&Lead::default()).is_blank());
        assert!(!Contact::of(&lead("", "", "", "cpf 529.982.247-25")).is_blank());
        assert!(!Contact::of(&lead("", "unusable", "", "")).is_blank());
    }

    #[test]
    fn only_believable_addresses_are_looked_up() {
        for good in ["a@b.co", "Ana.Lima+x@sub.exemplo.com.br", " joao@exemplo.com "] {
            assert_eq!(believable_email(good), Some(good.trim().to_lowercase()), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b.co",
            "a@",
            "a@b",
            "a@b.",
            "a@.co",
            "a b@c.de",
            "a@b@c.de",
            "a@-b.co",
            "a@b..co",
            "cliente999999@exemplo.com",
            "111111@exemplo.com",
            "x000000@exemplo.com",
            "123456789@exemplo.com",
        ] {
            assert_eq!(believable_email(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_safe_to_read_as_an_address(text in ".{0,30}") {
            let _ = believable_email(&text);
        }
    }
}
