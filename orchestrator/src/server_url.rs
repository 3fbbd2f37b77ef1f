//! The address of a server, for its clients: the runner, the command line and the load tool.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// An address that a server can be reached at. It may hold the name and password that a proxy before the server asks
/// for: they are sent with each request, and neither `Display` nor `Debug` shows them.
#[derive(Clone)]
pub(crate) struct ServerUrl(Url);

impl ServerUrl {
    /// The URL of a path below `/api`, to be asked, not shown. The path is given in segments, which may contain any
    /// character.
    pub(crate) fn api(&self, path: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut()
            .expect("invariant: it is an http or https URL")
            .pop_if_empty()
            .push("api")
            .extend(path);
        url
    }

    /// The URL without name and password.
    pub(crate) fn shown(&self) -> Url {
        let mut url = self.0.clone();
        for removed in [url.set_username(""), url.set_password(None)] {
            removed.expect("invariant: a URL with a host may have a name and a password");
        }
        url
    }
}

impl FromStr for ServerUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url =
            text.parse().ok().filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.map(Self).ok_or("a server is an http or https URL, such as http://127.0.0.1:8080")
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(f)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_http_url() {
        assert!("https://ci.example/rivet/".parse::<ServerUrl>().is_ok());
        for text in ["ci.example:8080", "127.0.0.1:8080", "unix:/run/rivet"] {
            assert!(text.parse::<ServerUrl>().unwrap_err().contains("such as http://"), "{text}");
        }
    }

    #[test]
    fn the_password_for_a_proxy_is_sent_and_not_shown() {
        let server: ServerUrl = "http://ci:s3cret@proxy.example/rivet".parse().unwrap();
        assert_eq!(
            server.api(&["jobs", "a b"]).as_str(),
            "http://ci:s3cret@proxy.example/rivet/api/jobs/a%20b"
        );
        assert_eq!(format!("{server} {server:?}"), "http://proxy.example/rivet http://proxy.example/rivet");
    }
}
