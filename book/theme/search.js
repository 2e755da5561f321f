// The search. It finds the page of a pasted line, though no section has all of its words; knows what else a thing is
// called; and forgives a letter. Sections that have every word of the query in one field come first.
//
// The file with the sections holds their texts only (`crates/guide/src/search_index.rs` packs it). The index is made from
// them here, which is faster than to load one. It scores as elasticlunr does, whose words and stems it uses.
(() => {
    // The packed file has this script at its beginning: it may arrive before the page's own.
    if (!window.elasticlunr || elasticlunr.packed) {
        return;
    }
    elasticlunr.packed = true;

    const FIELDS = ["title", "body", "breadcrumbs"];

    // As in mdBook: a longer one is no word.
    const LONGEST = 80;

    // A word that only begins like one of the query weighs this much, less the longer the rest is.
    const EXPANDED = 0.15;

    // mdBook's own script stems every word of every result that it shows.
    const stem = elasticlunr.stemmer;
    const stems = new Map();
    elasticlunr.stemmer = (word) => {
        let known = stems.get(word);
        if (known === undefined) {
            known = stem(word);
            stems.set(word, known);
        }
        return known;
    };

    const split = (text) => text.trim().toLowerCase().split(/[\s-]+/);

    /** A word as the index has it; nothing if it is too common, or none. */
    const normal = (word) => {
        const kept = elasticlunr.stopWordFilter(elasticlunr.trimmer(word));
        return kept ? elasticlunr.stemmer(kept) : undefined;
    };
    const normalAll = (text) => split(text).map(normal).filter((word) => word !== undefined);

    /** Adds to the number of a key. */
    const add = (map, key, number) => map.set(key, (map.get(key) ?? 0) + number);

    class SectionIndex {
        constructor(sections) {
            this.sections = sections;
            this.terms = new Map();
            // For each field, for each term: a section, how often, the next section, how often.
            this.postings = FIELDS.map(() => []);
            this.lengths = FIELDS.map((field, at) => sections.map((section, ref) => this.#take(at, ref, section[field])));
            this.vocabulary = [...this.terms.keys()].sort();
        }

        #take(field, ref, text) {
            const postings = this.postings[field];
            let length = 0;
            for (const word of split(text)) {
                const term = this.#number(word);
                if (term >= 0) {
                    length += 1;
                    const list = (postings[term] ??= []);
                    if (list.at(-2) === ref) {
                        list[list.length - 1] += 1;
                    } else {
                        list.push(ref, 1);
                    }
                }
            }
            return length;
        }

        // The numbers of the words as they stand in the text, so that each is stemmed once.
        #raw = new Map();

        #number(word) {
            let number = this.#raw.get(word);
            if (number === undefined) {
                const term = word.length <= LONGEST ? normal(word) : undefined;
                number = term ? (this.terms.get(term) ?? this.terms.size) : -1;
                if (term) {
                    this.terms.set(term, number);
                }
                this.#raw.set(word, number);
            }
            return number;
        }

        /** The terms that begin with a word. */
        beginning(word) {
            let [low, high] = [0, this.vocabulary.length];
            while (low < high) {
                const middle = (low + high) >> 1;
                if (this.vocabulary[middle] < word) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            let end = low;
            while (this.vocabulary[end]?.startsWith(word)) {
                end += 1;
            }
            return this.vocabulary.slice(low, end);
        }

        #scoresOfWord(field, word, { expand }, exact) {
            const scores = new Map();
            for (const term of expand ? this.beginning(word) : [word]) {
                const list = this.postings[field][this.terms.get(term)] ?? [];
                const rarity = 1 + Math.log(this.sections.length / (list.length / 2 + 1));
                const weight = term === word ? 1 : (EXPANDED * word.length) / term.length;
                for (let at = 0; at < list.length; at += 2) {
                    const ref = list[at];
                    const share = Math.sqrt(list[at + 1] / this.lengths[field][ref]);
                    add(scores, ref, share * rarity * weight);
                    if (term === word) {
                        add(exact, ref, 1);
                    }
                }
            }
            return scores;
        }

        #scoresOfField(field, words, options) {
            const exact = new Map();
            let scores;
            for (const word of words) {
                const ofWord = this.#scoresOfWord(field, word, options, exact);
                if (scores && options.bool === "AND") {
                    scores = new Map([...scores].filter(([ref]) => ofWord.has(ref)));
                    scores.forEach((score, ref) => scores.set(ref, score + ofWord.get(ref)));
                } else if (scores) {
                    ofWord.forEach((score, ref) => add(scores, ref, score));
                } else {
                    scores = ofWord;
                }
            }
            exact.forEach((count, ref) => scores.has(ref) && scores.set(ref, (scores.get(ref) * count) / words.length));
            return scores ?? new Map();
        }

        /** The sections that have these words, in the index's own form, the best first. */
        exact(words, options) {
            const scores = new Map();
            FIELDS.forEach((name, field) => {
                const boost = options.fields[name]?.boost ?? 1;
                this.#scoresOfField(field, words, options).forEach((score, ref) => add(scores, ref, score * boost));
            });
            const found = [...scores].map(([ref, score]) => ({ ref, score, doc: this.sections[ref] }));
            return found.sort((a, b) => b.score - a.score || a.ref - b.ref);
        }

        search(query, options) {
            const found = withPhraseFirst(this.exact(normalAll(query), options), query);
            if (pages(found) < ENOUGH) {
                const before = new Set(found.map(({ ref }) => ref));
                const others = byCoverage(this, words(this, query), options);
                found.push(...others.filter(({ ref }) => !before.has(ref)));
            }
            return found;
        }
    }

    // So much more is a section about a query if it has its words beside each other.
    const PHRASE = 3;

    function withPhraseFirst(found, query) {
        const phrase = query.trim().toLowerCase().replace(/\s+/g, " ");
        if (!phrase.includes(" ")) {
            return found;
        }
        const has = ({ doc }) => `${doc.title} ${doc.body}`.toLowerCase().includes(phrase);
        const weighted = found.map((section) => ({ ...section, score: section.score * (has(section) ? PHRASE : 1) }));
        return weighted.sort((a, b) => b.score - a.score || a.ref - b.ref);
    }

    // The anchor that mdBook makes of a title. The file has those that are not so.
    const slug = (title) => title.toLowerCase().replace(/[^a-z0-9_ -]/g, "").replaceAll(" ", "-");

    /** The sections of the packed file: pages of an address, what stands above it, and sections. */
    function unpack(packed) {
        const urls = window.search.doc_urls;
        return packed.flatMap(([page, above, sections]) =>
            sections.map(([title, body, anchor = slug(title), breadcrumbs]) => {
                urls.push(anchor ? `${page}#${anchor}` : page);
                return { title, body, breadcrumbs: breadcrumbs ?? `${above} » ${title}` };
            }),
        );
    }

    // What mdBook's script calls when the file is there. Its own builds have an index with the sections in it.
    elasticlunr.Index.load = ({ packed, documentStore }) =>
        new SectionIndex(packed ? unpack(packed) : window.search.doc_urls.map((_, ref) => documentStore.docs[ref]));

    // Words that people use, and the book does not: what the book says instead.
    const SYNONYMS = {
        // No word is one by inheritance, as `constructor` would be.
        __proto__: null,
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
    const isKnown = (index, word) => index.beginning(word).length > 0;

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
        const near = index.vocabulary
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
        const known = normalAll(meant.join(" ")).map((word) => (isKnown(index, word) ? word : respelt(index, word)));
        return [...new Set(known)].filter((word) => word !== undefined);
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
            const sections = index.exact([word], options);
            const rarity = Math.log(1 + index.sections.length / (1 + sections.length));
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

    // mdBook's search keeps every form of the page from being sent.
    document.querySelector(".paste")?.addEventListener("submit", (event) => {
        const pasted = new FormData(event.target).get("search");
        window.location.search = `?search=${encodeURIComponent(pasted)}`;
    });
})();
