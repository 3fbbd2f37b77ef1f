//! What a PostgreSQL URL may say, beyond what the driver checks.

use url::Url;

use super::DatabaseError;

/// The options of a URL that the driver, sqlx, knows, beside `options[…]`.
const OPTIONS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Refuses a URL that is malformed, and options that the driver would ignore, with a log line that shows their values: a
/// misspelt `sslmode` would demand no TLS, and a misspelt `password` would be told.
pub(super) fn check(url: &str) -> Result<(), DatabaseError> {
    let url = Url::parse(url).map_err(|_| DatabaseError::Malformed)?;
    let is_known = |name: &str| OPTIONS.contains(&name) || name.starts_with("options[");
    let Some((unknown, _)) = url.query_pairs().find(|(name, _)| !is_known(name)) else { return Ok(()) };
    // What is no name is a part of a password, after a question mark in it.
    let is_name = unknown.chars().all(|letter| letter.is_ascii_alphabetic() || "_-".contains(letter));
    Err(if is_name { DatabaseError::UnknownOption(unknown.into_owned()) } else { DatabaseError::Malformed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_the_driver_ignores_is_refused() {
        for url in [
            "postgres://db/rivet",
            "postgres://db/rivet?sslmode=require&host=/run/postgresql",
            "postgres://db/rivet?options[search_path]=a&options%5Bjit%5D=off",
        ] {
            assert!(check(url).is_ok(), "{url}");
        }
        for (url, option) in [
            ("postgres://db/rivet?user=a&sslmod=require", "sslmod"),
            ("postgres://db/rivet?pasword=secret#x?y=z", "pasword"),
        ] {
            assert!(matches!(check(url), Err(DatabaseError::UnknownOption(name)) if name == option), "{url}");
        }
    }

    #[test]
    fn a_password_that_is_not_encoded_is_not_told() {
        for url in ["postgres://u:pa#ss@db/rivet", "postgres://u:12?s3cret@db/rivet", "postgres://u:a/b@db"] {
            assert!(matches!(check(url), Err(DatabaseError::Malformed)), "{url}");
        }
    }
}
