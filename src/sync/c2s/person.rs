//! What is read of a person. The Work API tells far more (race, health records, relatives, neighbours, benefits): only
//! the fields named here are taken, the rest is skipped in the reply's bytes and never held.

use super::cpf::Cpf;
use super::scalar::{Block, List, Scalar};
use serde::Deserialize;

/// A person. Holds personal data: it has no `Debug`.
pub(super) struct Person {
    pub(super) cpf: Cpf,
    pub(super) name: Option<String>,
    /// DD/MM/YYYY.
    pub(super) birth_date: Option<String>,
    pub(super) sex: Option<String>,
    pub(super) occupation: Option<String>,
    /// Reais a month, as the upstream writes it.
    pub(super) income: Option<String>,
    pub(super) purchasing_power: Option<String>,
    pub(super) income_range: Option<String>,
    pub(super) score: Option<String>,
    pub(super) score_risk: Option<String>,
    pub(super) emails: Vec<String>,
    pub(super) phones: Vec<PersonPhone>,
    pub(super) addresses: Vec<Address>,
    pub(super) companies: Vec<Company>,
}

/// A telephone of a person.
pub(super) struct PersonPhone {
    pub(super) number: String,
    pub(super) kind: Option<String>,
    pub(super) carrier: Option<String>,
    pub(super) whatsapp: bool,
}

/// An address of a person.
pub(super) struct Address {
    pub(super) street: Option<String>,
    pub(super) number: Option<String>,
    pub(super) complement: Option<String>,
    pub(super) district: Option<String>,
    pub(super) city: Option<String>,
    pub(super) state: Option<String>,
    pub(super) postcode: Option<String>,
}

/// A company that a person has to do with.
pub(super) struct Company {
    pub(super) cnpj: String,
    pub(super) relation: Option<String>,
}

impl Person {
    /// Reads the reply to a lookup of `asked`; `None` if it tells of nobody, or of somebody else.
    pub(super) fn read(body: &[u8], asked: Cpf) -> Result<Option<Self>, serde_json::Error> {
        let reply: Reply<'_> = serde_json::from_slice(body)?;
        let same = |cpf: &Scalar<'_>| cpf.text().is_none() || Cpf::from_lookup(cpf) == Some(asked);
        let Some(basics) = reply.basics.0.filter(|basics| same(&basics.cpf)) else { return Ok(None) };
        let economy = reply.economy.0.unwrap_or_default();
        let power = economy.power.0.unwrap_or_default();
        let score = economy.score.0.unwrap_or_default();
        Ok(Some(Self {
            cpf: asked,
            name: basics.name.text(),
            birth_date: basics.birth_date.text(),
            sex: basics.sex.text(),
            occupation: reply.occupation.0.and_then(|occupation| occupation.title.text()),
            income: economy.income.text(),
            purchasing_power: power.class.text(),
            income_range: power.range.text(),
            score: score.value.text(),
            score_risk: score.risk.text(),
            emails: reply.emails.0.iter().filter_map(|row| row.email.text()).collect(),
            phones: reply.phones.0.iter().filter_map(PhoneRow::read).collect(),
            addresses: reply.addresses.0.iter().map(AddressRow::read).collect(),
            companies: reply.companies.0.iter().filter_map(CompanyRow::read).collect(),
        }))
    }
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow, default, rename = "DadosBasicos")]
    basics: Block<Basics<'a>>,
    #[serde(borrow, default, rename = "DadosEconomicos")]
    economy: Block<Economy<'a>>,
    #[serde(borrow, default, rename = "profissao")]
    occupation: Block<Occupation<'a>>,
    #[serde(borrow, default)]
    emails: List<EmailRow<'a>>,
    #[serde(borrow, default, rename = "telefones")]
    phones: List<PhoneRow<'a>>,
    #[serde(borrow, default, rename = "enderecos")]
    addresses: List<AddressRow<'a>>,
    #[serde(borrow, default, rename = "empresas")]
    companies: List<CompanyRow<'a>>,
}

#[derive(Deserialize)]
struct Basics<'a> {
    #[serde(borrow, default, rename = "nome")]
    name: Scalar<'a>,
    #[serde(borrow, default)]
    cpf: Scalar<'a>,
    #[serde(borrow, default, rename = "dataNascimento")]
    birth_date: Scalar<'a>,
    #[serde(borrow, default, rename = "sexo")]
    sex: Scalar<'a>,
}

#[derive(Deserialize, Default)]
struct Economy<'a> {
    #[serde(borrow, default, rename = "renda")]
    income: Scalar<'a>,
    #[serde(borrow, default, rename = "poderAquisitivo")]
    power: Block<Power<'a>>,
    #[serde(borrow, default)]
    score: Block<Score<'a>>,
}

#[derive(Deserialize, Default)]
struct Power<'a> {
    #[serde(borrow, default, rename = "poderAquisitivoDescricao")]
    class: Scalar<'a>,
    #[serde(borrow, default, rename = "faixaPoderAquisitivo")]
    range: Scalar<'a>,
}

#[derive(Deserialize, Default)]
struct Score<'a> {
    #[serde(borrow, default, rename = "scoreCSBA")]
    value: Scalar<'a>,
    #[serde(borrow, default, rename = "scoreCSBAFaixaRisco")]
    risk: Scalar<'a>,
}

#[derive(Deserialize)]
struct Occupation<'a> {
    #[serde(borrow, default, rename = "cboDescricao")]
    title: Scalar<'a>,
}

#[derive(Deserialize)]
struct EmailRow<'a> {
    #[serde(borrow, default)]
    email: Scalar<'a>,
}

#[derive(Deserialize)]
struct PhoneRow<'a> {
    #[serde(borrow, default, rename = "telefone")]
    number: Scalar<'a>,
    #[serde(borrow, default, rename = "tipo")]
    kind: Scalar<'a>,
    #[serde(borrow, default, rename = "operadora")]
    carrier: Scalar<'a>,
    #[serde(borrow, default)]
    whatsapp: Scalar<'a>,
}

impl PhoneRow<'_> {
    fn read(&self) -> Option<PersonPhone> {
        Some(PersonPhone {
            number: self.number.text()?,
            kind: self.kind.text(),
            carrier: self.carrier.text(),
            whatsapp: self.whatsapp.is_yes(),
        })
    }
}

#[derive(Deserialize)]
struct AddressRow<'a> {
    #[serde(borrow, default, rename = "logradouro")]
    street: Scalar<'a>,
    #[serde(borrow, default, rename = "logradouroNumero")]
    number: Scalar<'a>,
    #[serde(borrow, default, rename = "complemento")]
    complement: Scalar<'a>,
    #[serde(borrow, default, rename = "bairro")]
    district: Scalar<'a>,
    #[serde(borrow, default, rename = "cidade")]
    city: Scalar<'a>,
    #[serde(borrow, default, rename = "uf")]
    state: Scalar<'a>,
    #[serde(borrow, default, rename = "cep")]
    postcode: Scalar<'a>,
}

impl AddressRow<'_> {
    fn read(&self) -> Address {
        Address {
            street: self.street.text(),
            number: self.number.text(),
            complement: self.complement.text(),
            district: self.district.text(),
            city: self.city.text(),
            state: self.state.text(),
            postcode: self.postcode.text(),
        }
    }
}

#[derive(Deserialize)]
struct CompanyRow<'a> {
    #[serde(borrow, default)]
    cnpj: Scalar<'a>,
    #[serde(borrow, default, rename = "relacao")]
    relation: Scalar<'a>,
}

impl CompanyRow<'_> {
    fn read(&self) -> Option<Company> {
        Some(Company { cnpj: self.cnpj.text()?, relation: self.relation.text() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked() -> Cpf {
        Cpf::parse("52998224725").unwrap()
    }

    fn read(reply: &serde_json::Value) -> Option<Person> {
        Person::read(reply.to_string().as_bytes(), asked()).unwrap()
    }

    #[test]
    fn the_parts_of_a_person_are_read() {
        let person = read(&json!({
            "status": 200,
            "DadosBasicos": {"nome": "ANA LIMA", "cpf": "529.982.247-25", "dataNascimento": "01/02/1980",
                "sexo": "F - FEMININO", "nomeMae": "no", "cor": "no"},
            "DadosEconomicos": {"renda": "5000,00", "poderAquisitivo": {"poderAquisitivoDescricao": "ALTO",
                "faixaPoderAquisitivo": "De R$ 1 a R$ 2"}, "score": {"scoreCSBA": 512, "scoreCSBAFaixaRisco": "BAIXO"}},
            "emails": [{"email": "a@b.co"}, {"email": null}],
            "telefones": [{"telefone": "11987654321", "tipo": "CELULAR", "whatsapp": "SIM"}, {"tipo": "x"}],
            "enderecos": [{"cidade": "SANTOS", "cep": 11_000_000}],
            "empresas": [{"cnpj": "11222333000181", "relacao": "SOCIO"}],
            "profissao": {"cboDescricao": "Analista", "pis": "no"},
        }))
        .unwrap();
        assert_eq!(person.name.as_deref(), Some("ANA LIMA"));
        assert_eq!(person.score.as_deref(), Some("512"));
        assert_eq!(person.purchasing_power.as_deref(), Some("ALTO"));
        assert_eq!(person.occupation.as_deref(), Some("Analista"));
        assert_eq!(person.emails, ["a@b.co"]);
        assert!(person.phones.len() == 1 && person.phones[0].whatsapp);
        assert_eq!(person.addresses[0].postcode.as_deref(), Some("11000000"));
        assert_eq!(person.companies[0].relation.as_deref(), Some("SOCIO"));
    }

    #[test]
    fn parts_that_are_missing_or_of_another_form_are_left_out() {
        let basics = json!({"cpf": 52_998_224_725_u64});
        let person =
            read(&json!({"DadosBasicos": basics, "DadosEconomicos": [], "emails": null, "telefones": {},
            "enderecos": "x", "profissao": "y"}))
            .unwrap();
        assert!(person.name.is_none() && person.income.is_none() && person.addresses.is_empty());
    }

    #[test]
    fn nobody_and_somebody_else_are_no_result() {
        assert!(read(&json!({"status": 200})).is_none());
        assert!(read(&json!({"DadosBasicos": []})).is_none());
        assert!(read(&json!({"DadosBasicos": {"nome": "X", "cpf": "11144477735"}})).is_none());
        assert!(read(&json!({"DadosBasicos": {"nome": "X", "cpf": "52998224724"}})).is_none());
        assert!(Person::read(b"<html>", asked()).is_err());
    }
}
