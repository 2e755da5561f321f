// The worker of all labs on a page: a long run never holds up the page.

import { load } from "./module.js";

const lab = load();
addEventListener("message", async ({ data: { id, verb, text } }) => {
    try {
        const module = await lab;
        postMessage({ id, json: module[verb](text) });
    } catch (error) {
        postMessage({ id, failure: String(error.message ?? error) });
    }
});
