//! The message to the sellers, in Portuguese.

use super::contact::Fingerprint;
use super::format::{address, company, phone, reais, sex, tidy};
use super::names;
use super::person::Person;
use super::search::Source;
use std::fmt::Write as _;

/// What every message of Hookgate's own holds, before eight hex digits. It stands in the first line, where no length
/// limit of C2S can cut it off.
pub(super) const MARK: &str = "ref. HG-";

/// Longest message in characters (C2S tells none; other integrations keep to this).
const LONGEST: usize = 5000;

/// The text by which a message is found again at C2S.
pub(super) fn marker(fingerprint: &Fingerprint) -> String {
    format!("{MARK}{}", fingerprint.marker())
}

/// Composes the message about one person, or about the two that telephone and e-mail lead to.
pub(super) fn compose(
    people: &[(&Person, Source)],
    lead_name: Option<&str>,
    fingerprint: &Fingerprint,
) -> String {
    let mut text = format!("ENRIQUECIMENTO DO LEAD ({})\n", marker(fingerprint));
    if let [(person, source)] = people {
        let _ = writeln!(text, "Pessoa localizada {}.", by(*source));
        push_person(&mut text, person, lead_name);
    } else {
        text.push_str("Atenção: o telefone e o e-mail do lead levam a PESSOAS DIFERENTES.\n");
        for (number, (person, source)) in people.iter().enumerate() {
            let _ = writeln!(text, "\n===== PESSOA {} ({}) =====", number + 1, by(*source));
            push_person(&mut text, person, lead_name);
        }
    }
    let text = text.trim_end();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

fn by(source: Source) -> &'static str {
    match source {
        Source::Text => "pelo CPF informado no lead",
        Source::Phone => "pelo telefone",
        Source::Email => "pelo e-mail",
        Source::PhoneAndEmail => "pelo telefone e pelo e-mail",
        Source::Name => "pelo nome",
    }
}

fn push_person(text: &mut String, person: &Person, lead_name: Option<&str>) {
    let differs = match (lead_name, &person.name) {
        (Some(lead), Some(found)) => !names::compatible(lead, found),
        _ => false,
    };
    if differs {
        text.push_str("Atenção: o nome encontrado não confere com o nome do lead.\n");
    }
    let field = |label: &str, value: Option<String>| value.map(|value| format!("{label}: {}", tidy(&value)));
    let personal = [
        field("Nome", person.name.clone()),
        field("CPF", Some(person.cpf.formatted())),
        field("Nascimento", person.birth_date.clone()),
        field("Sexo", person.sex.as_deref().map(sex)),
        field("Profissão", person.occupation.clone()),
    ];
    push_section(text, "DADOS PESSOAIS", personal.into_iter().flatten());
    let score = person.score.as_ref().map(|score| match &person.score_risk {
        Some(risk) => format!("{score} (risco: {})", risk.to_lowercase()),
        None => score.clone(),
    });
    let financial = [
        field("Renda estimada", person.income.as_deref().and_then(reais)),
        field("Poder aquisitivo", person.purchasing_power.clone()),
        field("Faixa de renda", person.income_range.clone()),
        field("Score", score),
    ];
    push_section(text, "DADOS FINANCEIROS", financial.into_iter().flatten());
    let item = |value: String| format!("- {}", tidy(&value));
    push_section(
        text,
        "E-MAILS",
        distinct(person.emails.iter().map(|email| email.to_lowercase()), 3).map(item),
    );
    push_section(text, "TELEFONES", distinct(person.phones.iter().map(phone), 3).map(item));
    push_section(text, "ENDEREÇOS", distinct(person.addresses.iter().filter_map(address), 2).map(item));
    push_section(text, "EMPRESAS", distinct(person.companies.iter().map(company), 3).map(item));
}

/// A title and its lines; nothing without lines.
fn push_section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        let _ = writeln!(text, "\n{title}");
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
    }
}

/// The first `limit` values, each once.
fn distinct(values: impl Iterator<Item = String>, limit: usize) -> impl Iterator<Item = String> {
    let mut seen: Vec<String> = Vec::new();
    for value in values {
        if seen.len() < limit && !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen.into_iter()
}

#[cfg(test)]
mod tests {
    use super::super::cpf::Cpf;
    use super::super::format::LONGEST_VALUE;
    use super::super::person::{Address, Company, PersonPhone};
    use super::*;

    fn person(cpf: &str) -> Person {
        let some = |text: &str| Some(text.to_owned());
        Person {
            cpf: Cpf::parse(cpf).unwrap(),
            name: some("ANA BEATRIZ LIMA"),
            birth_date: some("01/02/1980"),
            sex: some("F - FEMININO"),
            occupation: some("Engenheira civil"),
            income: some("12500.5"),
            purchasing_power: some("ALTO"),
            income_range: some("De R$ 1.500 a R$ 5.000"),
            score: some("512"),
            score_risk: some("MEDIO"),
            emails: ["A@b.co", "a@b.co", "c@d.co", "e@f.co", "g@h.co"].map(str::to_owned).to_vec(),
            phones: vec![PersonPhone {
                number: "11987654321".to_owned(),
                kind: some("CELULAR"),
                carrier: some("VIVO"),
                whatsapp: true,
            }],
            addresses: vec![Address {
                street: some("R DAS FLORES"),
                number: some("123"),
                complement: None,
                district: some("CENTRO"),
                city: some("SANTOS"),
                state: some("SP"),
                postcode: some("11010000"),
            }],
            companies: vec![Company { cnpj: "12ABC34501DE35".to_owned(), relation: some("SOCIO") }],
        }
    }

    fn fingerprint() -> Fingerprint {
        Fingerprint([0xab; 32])
    }

    #[test]
    fn the_whole_message_about_one_person() {
        let text = compose(&[(&person("52998224725"), Source::Phone)], Some("Ana Lima"), &fingerprint());
        assert_eq!(
            text,
            "ENRIQUECIMENTO DO LEAD (ref. HG-abababab)\n\
             Pessoa localizada pelo telefone.\n\
             \n\
             DADOS PESSOAIS\n\
             Nome: ANA BEATRIZ LIMA\n\
             CPF: 529.982.247-25\n\
             Nascimento: 01/02/1980\n\
             Sexo: Feminino\n\
             Profissão: Engenheira civil\n\
             \n\
             DADOS FINANCEIROS\n\
             Renda estimada: R$ 12.500,50\n\
             Poder aquisitivo: ALTO\n\
             Faixa de renda: De R$ 1.500 a R$ 5.000\n\
             Score: 512 (risco: medio)\n\
             \n\
             E-MAILS\n\
             - a@b.co\n\
             - c@d.co\n\
             - e@f.co\n\
             \n\
             TELEFONES\n\
             - (11) 98765-4321 · CELULAR · VIVO · WhatsApp\n\
             \n\
             ENDEREÇOS\n\
             - R DAS FLORES, 123 - CENTRO - SANTOS/SP - CEP 11010-000\n\
             \n\
             EMPRESAS\n\
             - 12.ABC.345/01DE-35 · SOCIO"
        );
    }

    #[test]
    fn another_name_is_said_and_so_are_two_people() {
        let (one, other) = (person("52998224725"), person("11144477735"));
        let warned = compose(&[(&one, Source::Name)], Some("Pedro Alves"), &fingerprint());
        assert!(warned.contains("não confere"), "{warned}");
        assert!(!warned.contains("DIFERENTES"), "{warned}");
        let two = compose(&[(&one, Source::Phone), (&other, Source::Email)], None, &fingerprint());
        assert!(two.contains("PESSOAS DIFERENTES") && !two.contains("não confere"), "{two}");
        assert!(two.contains("PESSOA 1 (pelo telefone)") && two.contains("PESSOA 2 (pelo e-mail)"), "{two}");
        assert!(two.contains("529.982.247-25") && two.contains("111.444.777-35"), "{two}");
    }

    #[test]
    fn sections_without_data_are_left_out_and_long_texts_are_cut_between_characters() {
        let mut bare = person("52998224725");
        bare.emails.clear();
        bare.income = Some("0,00".to_owned());
        bare.name = Some("é".repeat(300));
        let text = compose(&[(&bare, Source::Text)], None, &fingerprint());
        assert!(!text.contains("E-MAILS") && !text.contains("Renda estimada"), "{text}");
        assert!(text.contains(&format!("Nome: {}\n", "é".repeat(LONGEST_VALUE))), "{text}");

        let many = person("52998224725");
        let people: Vec<_> = (0..20).map(|_| (&many, Source::Phone)).collect();
        let text = compose(&people, None, &fingerprint());
        assert_eq!(text.chars().count(), LONGEST);
    }

    #[test]
    fn values_stay_on_their_line() {
        let mut odd = person("52998224725");
        odd.name = Some("ANA\r\n\nDADOS\u{0}  LIMA".to_owned());
        let text = compose(&[(&odd, Source::Text)], None, &fingerprint());
        assert!(text.contains("Nome: ANA DADOS LIMA\n"), "{text}");
    }
}
