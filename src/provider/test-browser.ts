/** A browser without a screen or scripts: keeps cookies by path, follows redirects of its own site, sends forms. */
export interface Walk {
  readonly status: number;
  /** Where it stands, or where it was sent that is not of this site. */
  readonly url: string;
  readonly text: string;
  readonly headers: Headers;
}

export interface Browser {
  readonly cookies: Map<string, Cookie>;
  get(url: string): Promise<Walk>;
  /** Sends the form of a page, with these fields beside the hidden ones. */
  submit(
    page: Walk,
    fields: Readonly<Record<string, string>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Walk>;
}

interface Cookie {
  readonly value: string;
  readonly path: string;
  readonly line: string;
}

export function createBrowser(origin: string): Browser {
  const cookies = new Map<string, Cookie>();
  const keep = (headers: Headers): void => {
    for (const line of headers.getSetCookie()) {
      const [pair = "", ...rest] = line.split(/; */);
      const at = pair.indexOf("=");
      const path = rest.find((each) => each.toLowerCase().startsWith("path="))?.slice(5) ?? "/";
      const name = pair.slice(0, at);
      const isGone = rest.some((each) => /^expires=Thu, 01 Jan 1970/i.test(each));
      if (isGone) cookies.delete(`${name} ${path}`);
      else cookies.set(`${name} ${path}`, { value: pair.slice(at + 1), path, line });
    }
  };
  const go = async (url: string, init: RequestInit = {}): Promise<Walk> => {
    for (let hops = 0; hops < 10; hops++) {
      const { pathname } = new URL(url);
      const sent = [...cookies].filter(([, { path }]) => pathname.startsWith(path));
      const headers = new Headers(init.headers);
      headers.set("cookie", sent.map(([key, { value }]) => `${key.split(" ")[0]}=${value}`).join("; "));
      headers.set("accept", "text/html");
      const answer = await fetch(url, { ...init, headers, redirect: "manual" });
      keep(answer.headers);
      const location = answer.headers.get("location");
      if (location === null) return { status: answer.status, url, text: await answer.text(), headers: answer.headers };
      await answer.body?.cancel();
      url = new URL(location, url).href;
      if (new URL(url).origin !== origin) return { status: answer.status, url, text: "", headers: answer.headers };
      init = {};
    }
    throw new Error(`${url}: sent round in circles`);
  };
  return {
    cookies,
    get: (url) => go(url),
    submit(page, fields, headers = {}) {
      const action = /<form[^>]*action="([^"]+)"/.exec(page.text)?.[1];
      if (action === undefined) throw new Error(`${page.url} has no form: ${page.status} ${page.text}`);
      const hidden = [...page.text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)];
      const body = new URLSearchParams([
        ...hidden.map(([, name, value]) => [name, value] as [string, string]),
        ...Object.entries(fields),
      ]);
      return go(new URL(action, page.url).href, {
        method: "POST",
        body,
        headers: { origin, "sec-fetch-site": "same-origin", ...headers },
      });
    },
  };
}
