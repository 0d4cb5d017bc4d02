const LONGEST_TITLE = 150;
const LONGEST_TEXT = 2000;

export const LEVELS = { info: "ℹ️", success: "✅", warning: "⚠️", error: "🚨" } as const;

export type Message = { title: string; text: string; level: keyof typeof LEVELS };

// BadMessage says why a body is no message.
export class BadMessage extends Error {}

// message reads a body: a text, or JSON with text, and a title and a level if there are any.
export function message(body: string, isJSON: boolean): Message {
  let found: Record<string, unknown> = { text: body };
  if (isJSON) {
    try {
      found = JSON.parse(body);
    } catch {
      throw new BadMessage("the body is no JSON");
    }
    if (found === null || typeof found !== "object" || Array.isArray(found)) throw new BadMessage("the JSON is no object");
  }
  const { title = "", text = "", level = "info" } = found;
  const words = [line("title", title, LONGEST_TITLE), line("text", text, LONGEST_TEXT)] as const;
  if (words[0] + words[1] === "") throw new BadMessage("the message has neither a title nor a text");
  if (typeof level !== "string" || !Object.hasOwn(LEVELS, level)) throw new BadMessage(`the level is none of ${Object.keys(LEVELS).join(", ")}`);
  return { title: words[0].replace(/\s+/g, " "), text: words[1], level: level as Message["level"] };
}

function line(name: string, value: unknown, most: number): string {
  if (typeof value !== "string") throw new BadMessage(`the ${name} is no text`);
  const text = value.replace(/[^\P{C}\n\t]/gu, "").trim(); // no control characters, nor those that turn a text around
  if ([...text].length > most) throw new BadMessage(`the ${name} has more than ${most} characters`);
  return text;
}

// A Chat makes the JSON that a chat's incoming webhook takes. Whatever a message says, it
// calls nobody and links nothing under another name.
export type Chat = (m: Message) => unknown;

const heading = (m: Message, strong: (s: string) => string) => [LEVELS[m.level], m.title && strong(m.title)].filter(Boolean).join(" ");

// Slack, Mattermost and Google Chat: <!channel> and <https://…|name> are theirs.
const escaped = (s: string) => s.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const starred: Chat = (m) => ({ text: [heading(m, (s) => `*${escaped(s).replaceAll("*", "∗")}*`), escaped(m.text)].filter(Boolean).join("\n") });

// At signs call somebody in Mattermost, whatever stands around them.
const quiet = (s: string) => s.replaceAll("@", "@\u200b");

export const CHATS: Record<string, Chat> = {
  slack: starred,
  google: starred,
  mattermost: (m) => starred({ ...m, title: quiet(m.title), text: quiet(m.text) }),
  discord: (m) => ({
    content: [heading(m, (s) => `**${marked(s)}**`), marked(m.text)].filter(Boolean).join("\n"),
    allowed_mentions: { parse: [] },
  }),
  teams: (m) => ({
    type: "message",
    attachments: [{
      contentType: "application/vnd.microsoft.card.adaptive",
      content: {
        type: "AdaptiveCard", version: "1.4",
        body: [
          { type: "TextBlock", text: heading(m, marked), weight: "bolder", wrap: true },
          { type: "TextBlock", text: marked(m.text), wrap: true },
        ].filter((block) => block.text !== ""),
      },
    }],
  }),
};

// marked is text in which no Markdown means anything.
function marked(s: string): string {
  return s.replace(/[\\`*_{}[\]()#+\-.!|~<>]/g, "\\$&");
}
