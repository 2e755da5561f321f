// The search box finds the page of a pasted line, though no section has all of its words; knows what else a thing is
// called; and forgives a letter. mdBook's own search comes first: what it finds is shown as it is.
(() => {
    const { Index, tokenizer } = elasticlunr;
    const exact = Index.prototype.search;

    // Words that people use, and the book does not: what the book says instead.
    const SYNONYMS = {
        k8s: "kubernetes replicas",
        kubernetes: "replicas",
        pods: "replicas",
        faas: "serverless",
        lambda: "serverless",
        hikari: "hikaricp",
        postgresql: "postgres",
        pg: "postgres",
        starvation: "exhaustion",
        starved: "exhaustion",
        unreturned: "leak",
        rst: "reset",
        ssl: "tls",
        otel: "opentelemetry",
        ttl: "lifetime",
        keepalives: "keepalive",
        // The phase of a timeout.
        checking: "check lull",
        ping: "check",
        alarm: "alert",
        alarms: "alerts",
        heartbeat: "check",
        sharding: "tenants",
        drain: "shutting down",
        sigterm: "shutting down",
    };

    // What differs from one occurrence of a message to the next: numbers, addresses, times, ids.
    const LIVE = /^[^a-z]*$|^\d|\d{3,}|^[0-9a-f]{8,}$|:\d+$/i;

    // In the index, or the beginning of a word that is.
    const isKnown = (index, word) =>
        index.getFields().some((field) => index.index[field].expandToken(word).length > 0);

    /** All words of the index. Made once, when the first unknown word is asked for. */
    function vocabulary(index) {
        if (!index.vocabulary) {
            const words = new Set();
            const walk = (node, word) => {
                if (node.df > 0) {
                    words.add(word);
                }
                for (const [letter, next] of Object.entries(node)) {
                    if (letter.length === 1 && typeof next === "object") {
                        walk(next, word + letter);
                    }
                }
            };
            index.getFields().forEach((field) => walk(index.index[field].root, ""));
            index.vocabulary = [...words];
        }
        return index.vocabulary;
    }

    /** How many letters have to be changed, added, left out or swapped; `limit + 1` if that is too many. */
    function distance(a, b, limit) {
        if (Math.abs(a.length - b.length) > limit) {
            return limit + 1;
        }
        let [before, row] = [[], Array.from({ length: b.length + 1 }, (_, at) => at)];
        for (let i = 1; i <= a.length; i += 1) {
            const next = [i];
            for (let j = 1; j <= b.length; j += 1) {
                const same = a[i - 1] === b[j - 1] ? 0 : 1;
                next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + same);
                if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
                    next[j] = Math.min(next[j], before[j - 2] + 1);
                }
            }
            [before, row] = [row, next];
        }
        return row[b.length];
    }

    /** The nearest word of the index, if one is near. */
    function respelt(index, word) {
        if (word.length < 5) {
            return undefined;
        }
        const limit = word.length < 8 ? 1 : 2;
        const near = vocabulary(index)
            .map((other) => [distance(word, other, limit), other])
            .filter(([changes]) => changes <= limit);
        near.sort(([a, left], [b, right]) => a - b || left.length - right.length);
        return near[0]?.[1];
    }

    /** The words of a query that the index has, in the index's own form. */
    function words(index, query) {
        const typed = query.toLowerCase().split(/[^\p{L}\p{N}_:.']+/u).filter((word) => !LIVE.test(word));
        // A name of a module or a class stands before what it says.
        const parts = typed.flatMap((word) => (isKnown(index, word) ? [word] : word.split(/[.:']+/)));
        const meant = parts.flatMap((word) => (SYNONYMS[word] ?? word).split(" "));
        const stems = index.pipeline.run(tokenizer(meant.join(" ")));
        return [...new Set(stems.map((stem) => (isKnown(index, stem) ? stem : respelt(index, stem))))]
            .filter((stem) => stem !== undefined);
    }

    // As many pages as a reader looks at.
    const ENOUGH = 3;

    // Whoever pastes a line has a symptom. The pages of symptoms come first, and lists of all messages last.
    const WEIGHTS = [
        [/^troubleshooting\/index/, 0.8],
        [/^troubleshooting\//, 1.2],
        [/^reference\/|^appendices\//, 0.8],
    ];

    /** The sections that have most of the words. A rare word counts for more. */
    function byCoverage(index, known, options) {
        const found = new Map();
        for (const word of known) {
            const sections = exact.call(index, word, options);
            const rarity = Math.log(1 + index.documentStore.length / (1 + sections.length));
            // The more of a section a word is, the more the section is about it.
            sections.forEach((section) => {
                const before = found.get(section.ref)?.score ?? 0;
                found.set(section.ref, { ...section, score: before + rarity + 0.1 * section.score });
            });
        }
        const urls = window.search.doc_urls;
        const weight = (ref) => WEIGHTS.find(([pattern]) => pattern.test(urls[ref]))?.[1] ?? 1;
        const weighted = [...found.values()].map((section) => ({
            ...section,
            score: section.score * weight(section.ref),
        }));
        return weighted.sort((a, b) => b.score - a.score);
    }

    /** How many pages the sections belong to. */
    const pages = (found) => new Set(found.map(({ ref }) => window.search.doc_urls[ref].split("#")[0])).size;

    Index.prototype.search = function (query, options) {
        const found = exact.call(this, query, options);
        if (pages(found) < ENOUGH) {
            const before = new Set(found.map(({ ref }) => ref));
            const others = byCoverage(this, words(this, query), options);
            found.push(...others.filter(({ ref }) => !before.has(ref)));
        }
        return found;
    };

    // mdBook's search keeps every form of the page from being sent.
    document.querySelector(".paste")?.addEventListener("submit", (event) => {
        const pasted = new FormData(event.target).get("search");
        window.location.search = `?search=${encodeURIComponent(pasted)}`;
    });
})();
