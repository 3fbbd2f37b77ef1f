//! The address of a server, for its clients: the runner, the command line and the load tool.

use reqwest::Url;

/// An address that a server can be reached at.
pub(crate) fn parse_server(text: &str) -> Result<Url, String> {
    let url =
        text.parse().ok().filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| "a server is an http or https URL, such as http://127.0.0.1:8080".to_owned())
}

/// The URL of a path below `/api` of a server. The path is given in segments, which may contain any character.
pub(crate) fn api_url(server: &Url, path: &[&str]) -> Url {
    let mut url = server.clone();
    url.path_segments_mut()
        .expect("invariant: the options accept http and https URLs only")
        .pop_if_empty()
        .push("api")
        .extend(path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_http_url() {
        assert!(parse_server("https://ci.example/rivet/").is_ok());
        for text in ["ci.example:8080", "127.0.0.1:8080", "unix:/run/rivet"] {
            assert!(parse_server(text).unwrap_err().contains("such as http://"), "{text}");
        }
    }
}
