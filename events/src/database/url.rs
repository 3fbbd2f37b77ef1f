//! What a PostgreSQL URL may say, beyond what the driver checks.

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

/// The first option that the driver does not know. It would ignore it, and write its value into the log: a misspelt
/// `sslmode` would demand no TLS, and a misspelt `password` would be told.
pub(super) fn unknown_option(url: &str) -> Option<&str> {
    let (_, query) = url.split('#').next()?.split_once('?')?;
    let mut names = query.split('&').filter_map(|option| option.split('=').next());
    names.find(|name| !OPTIONS.contains(name) && !name.starts_with("options[") && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_the_driver_ignores_is_found() {
        for url in ["postgres://db/rivet", "postgres://db/rivet?sslmode=require&host=/run/postgresql"] {
            assert_eq!(unknown_option(url), None, "{url}");
        }
        assert_eq!(unknown_option("postgres://db/rivet?user=a&sslmod=require"), Some("sslmod"));
        assert_eq!(unknown_option("postgres://db/rivet?pasword=secret#x?y=z"), Some("pasword"));
        assert_eq!(unknown_option("postgres://db/rivet?options[search_path]=a"), None);
    }
}
