/** Starts the dashboard. */

import { render } from "preact";

import { App } from "./app.js";
import { html } from "./html.js";
import { followLinks } from "./router.js";

const root = document.getElementById("app");
if (root) {
  followLinks();
  render(html`<${App} />`, root);
}
