// Looks at pages of the book, each in a frame, and posts what is wrong with them. `look.json` says which pages, at which
// widths and in which themes.
const { pages, widths, themes } = await (await fetch("look.json")).json();
const found = [];

// The width at which most of it is looked at, and code must not scroll.
const USUAL = 1280;
const PHONE = 360;
const HEIGHT = 800;

// What a page may take on its way, compressed.
const HEAVIEST = 200_000;

const frame = document.createElement("iframe");
document.body.append(frame);

/** Loads a page into the frame, and waits until its fonts are there and it is drawn. */
async function load(page, width) {
    frame.width = width;
    frame.height = HEIGHT;
    await new Promise((loaded) => {
        frame.onload = loaded;
        frame.src = `/${page}`;
    });
    const view = frame.contentWindow;
    await view.document.fonts.ready;
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    return view;
}

const name = (element) => {
    const classes = element.className?.split?.(" ").filter(Boolean).map((one) => `.${one}`) ?? [];
    const text = element.textContent.trim().split("\n")[0].slice(0, 60);
    return `${element.localName}${classes.join("")} "${text}"`;
};

const isWide = (element) => element.scrollWidth > element.clientWidth + 1;

/** Where a page leads a reader sideways, and what scrolls out of the keyboard's reach. */
function checkWidth(view, width, report) {
    const { document: page } = view;
    const root = page.scrollingElement;
    if (isWide(root)) {
        const out = [...page.querySelectorAll("main *")].filter((element) => {
            return element.getBoundingClientRect().right > root.clientWidth + 1;
        });
        report(`scrolls sideways by ${root.scrollWidth - root.clientWidth} px: ${out.slice(0, 3).map(name).join(", ")}`);
    }
    for (const element of page.querySelectorAll("main, main *")) {
        const scrolls = ["auto", "scroll"].includes(view.getComputedStyle(element).overflowX);
        if (!scrolls || !isWide(element) || element.clientWidth === 0) {
            continue;
        }
        // Without scripts it is left to the browser, which may do it.
        if (width > 0 && element.tabIndex < 0 && !element.querySelector("a, button, input, summary, [tabindex]")) {
            report(`no key reaches what scrolls: ${name(element)}`);
        }
        if (width === USUAL && element.matches("pre *")) {
            report(`code scrolls sideways: ${name(element)}`);
        }
    }
    // Whoever comes here in an incident has a phone in the hand: the first link is on its first screen.
    const link = page.querySelector("main .paste ~ :is(p, ul, ol) a");
    if (width === PHONE && link && link.getBoundingClientRect().bottom > HEIGHT) {
        report(`the first link is at ${link.getBoundingClientRect().bottom} px, and the screen has ${HEIGHT}`);
    }
    if (page.querySelector(".boring")) {
        report(`has hidden lines: ${name(page.querySelector(".boring"))}`);
    }
}

const sizes = new Map();

/** How many bytes an address takes on its way. */
async function size(address) {
    const bytes = await (await fetch(address)).blob();
    if (/\.(woff2|png|wasm)$/.test(address)) {
        return bytes.size;
    }
    const packed = new Response(bytes.stream().pipeThrough(new CompressionStream("gzip")));
    return (await packed.blob()).size;
}

async function checkWeight(view, report) {
    const loaded = view.performance.getEntriesByType("resource").map(({ name }) => name);
    let weight = 0;
    for (const address of new Set([view.location.href, ...loaded].map((name) => name.split(/[?#]/)[0]))) {
        if (!sizes.has(address)) {
            sizes.set(address, await size(address));
        }
        weight += sizes.get(address);
    }
    if (weight > HEAVIEST) {
        report(`takes ${weight} bytes, and may take ${HEAVIEST}`);
    }
}

/** Loads what looks at a page as a screen reader would. */
async function loadAxe(view) {
    const script = view.document.createElement("script");
    await new Promise((loaded) => {
        script.onload = loaded;
        script.src = "/look/axe.min.js";
        view.document.head.append(script);
    });
}

async function checkAccess(view, theme, report) {
    view.document.getElementById(`mdbook-theme-${theme}`).click();
    // A theme changes colours, and nothing else.
    const only = theme === themes[0] ? {} : { runOnly: ["color-contrast", "link-in-text-block"] };
    const { violations } = await view.axe.run(view.document, { resultTypes: ["violations"], ...only });
    for (const { id, nodes } of violations) {
        const where = nodes.slice(0, 3).map(({ target, any }) => `${target} ${any[0]?.message ?? ""}`);
        report(`${id}, ${nodes.length} times: ${where.join("; ")}`);
    }
}

/** The text of a page, as far as it shows. */
const text = (view) => view.document.querySelector("main").innerText.replace(/\s+/g, " ");

/** A page without scripts says the same, but for what only a script can do. */
async function checkWithoutScripts(page, said, report) {
    frame.setAttribute("sandbox", "allow-same-origin");
    // The server leaves out the scripts, which the frame would complain about.
    const view = await load(`plain/${page}`, USUAL);
    const shown = text(view).length;
    if (shown < 0.9 * said || shown > 1.1 * said) {
        report(`shows ${shown} letters without scripts, and ${said} with them`);
    }
    checkWidth(view, 0, report);
    frame.removeAttribute("sandbox");
}

localStorage.setItem("mdbook-theme", themes[0]);
for (const page of pages) {
    const reporter = (where) => (what) => found.push(`${page} ${where}: ${what}`);
    for (const width of widths.filter((width) => width !== USUAL)) {
        checkWidth(await load(page, width), width, reporter(`at ${width}`));
    }
    const view = await load(page, USUAL);
    const said = text(view).length;
    checkWidth(view, USUAL, reporter(`at ${USUAL}`));
    await checkWeight(view, reporter("in all"));
    await loadAxe(view);
    for (const theme of themes) {
        await checkAccess(view, theme, reporter(`in ${theme}`));
    }
    localStorage.setItem("mdbook-theme", themes[0]);
    await checkWithoutScripts(page, said, reporter("without scripts"));
}
await fetch("found", { method: "POST", body: found.join("\n") });
