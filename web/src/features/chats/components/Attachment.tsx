// What a message holds beside words: pictures, sounds, files, places, people, buttons.

import { Icon } from "../../../components/Icon";
import { useLanguage, useText } from "../../../i18n";
import type { Message } from "../api/rows";
import { useMedia } from "../api/media";

type Fields = Readonly<Record<string, unknown>>;

export function Attachment({ message }: { readonly message: Message }) {
  switch (message.type) {
    case "image":
    case "sticker":
    case "video":
    case "audio":
    case "voice":
    case "document":
      return <MediaPart message={message} />;
    case "location":
      return <Place place={fieldsOf(message.content, "location")} />;
    case "contacts":
      return <People cards={listOf(message.content["contacts"])} />;
    case "interactive":
      return <Choices interactive={fieldsOf(message.content, "interactive")} />;
    case "order":
      return <Order order={fieldsOf(message.content, "order")} />;
    default:
      return null;
  }
}

function MediaPart({ message }: { readonly message: Message }) {
  const words = useText();
  // Bytes that are not what their type says are for downloading, whatever the message calls them.
  const isUnlike = message.media?.mime_type === "application/octet-stream";
  const kind = isUnlike ? "document" : message.type === "voice" ? "audio" : message.type;
  const part = fieldsOf(message.content, message.type);
  const link = stringOf(part["link"]);
  const storagePath = message.media ? null : stringOf(part["storage_path"]);
  const isStored = message.media?.state === "stored" || storagePath !== null;
  const isShown = kind === "image" || kind === "sticker" || kind === "audio";
  const { address, isLoading, error, load } = useMedia(message.id, storagePath, isStored && isShown);
  const filename = stringOf(part["filename"]) ?? message.media?.filename ?? words.chat.document;
  if (message.direction === "outbound" && !message.media && !storagePath) {
    return (
      <Chip
        icon={kind === "document" ? "document" : "image"}
        label={kind === "document" ? filename : labelOf(kind, words)}
        href={link}
        action={words.chat.link}
      />
    );
  }
  if (message.media?.state === "failed" || message.media?.state === "expired" || error) {
    const sentence = message.media?.state === "expired" ? words.chat.mediaExpired : words.chat.mediaFailed;
    return (
      <div className="media-problem">
        <Icon name="warning" />
        <span>{sentence}</span>
        {error && (
          <button type="button" className="button small" onClick={() => void load()}>
            {words.common.retry}
          </button>
        )}
      </div>
    );
  }
  if (!isStored)
    return (
      <Chip
        icon="clock"
        label={`${kind === "document" ? filename : labelOf(kind, words)} · ${words.chat.mediaPending}`}
      />
    );
  if (isShown && (isLoading || !address)) return <div className={`media-ghost ${kind}`} aria-busy="true" />;
  if (kind === "image" && address) return <img className="picture" src={address} alt={words.chat.photo} />;
  if (kind === "sticker" && address) return <img className="sticker" src={address} alt={words.chat.sticker} />;
  if (kind === "audio" && address) {
    return (
      <audio
        controls
        preload="metadata"
        src={address}
        aria-label={message.media?.is_voice ? words.chat.voice : words.chat.audio}
      />
    );
  }
  if (kind === "video" && address) {
    return <video className="picture" controls preload="metadata" src={address} aria-label={words.chat.video} />;
  }
  const open = async () => {
    const found = await load();
    if (!found || kind !== "document") return;
    const saving = document.createElement("a");
    saving.href = found;
    saving.download = filename;
    saving.click();
  };
  return (
    <button type="button" className="chip" aria-busy={isLoading} onClick={() => void open()}>
      <Icon name={kind === "video" ? "play" : "document"} />
      <span className="chip-label">
        <span>{kind === "video" ? words.chat.video : filename}</span>
        <span className="small muted">
          {words.chat.load}
          {message.media?.byte_count ? ` · ${sizeOf(message.media.byte_count)}` : ""}
        </span>
      </span>
    </button>
  );
}

function Chip({
  icon,
  label,
  href,
  action,
}: {
  readonly icon: "document" | "image" | "clock" | "pin";
  readonly label: string;
  readonly href?: string | null;
  readonly action?: string;
}) {
  return (
    <div className="chip">
      <Icon name={icon} />
      <span className="chip-label">
        <span>{label}</span>
        {href && /^https?:/i.test(href) && (
          <a className="small" href={href} target="_blank" rel="noopener noreferrer nofollow">
            {action}
          </a>
        )}
      </span>
    </div>
  );
}

function Place({ place }: { readonly place: Fields }) {
  const words = useText();
  const [latitude, longitude] = [Number(place["latitude"]), Number(place["longitude"])];
  const isSomewhere = Number.isFinite(latitude) && Number.isFinite(longitude);
  const label = stringOf(place["name"]) ?? stringOf(place["address"]) ?? words.chat.locationWord;
  return (
    <Chip
      icon="pin"
      label={label}
      href={
        isSomewhere
          ? `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=16/${latitude}/${longitude}`
          : null
      }
      action={words.chat.openMap}
    />
  );
}

function People({ cards }: { readonly cards: readonly Fields[] }) {
  const words = useText();
  return (
    <ul className="people">
      {cards.map((card, position) => {
        const name = fieldsOf(card, "name");
        const phones = listOf(card["phones"])
          .map((phone) => stringOf(phone["phone"]))
          .filter(Boolean);
        return (
          <li key={position} className="chip">
            <Icon name="account" />
            <span className="chip-label">
              <span>{stringOf(name["formatted_name"]) ?? words.chat.contactCard}</span>
              <span className="small muted">{phones.join(", ")}</span>
            </span>
          </li>
        );
      })}
    </ul>
  );
}

function Choices({ interactive }: { readonly interactive: Fields }) {
  const action = fieldsOf(interactive, "action");
  const buttons = listOf(action["buttons"]).map((button) => stringOf(fieldsOf(button, "reply")["title"]));
  const rows = listOf(action["sections"]).flatMap((section) =>
    listOf(section["rows"]).map((row) => stringOf(row["title"])),
  );
  const titles = [...buttons, ...rows, stringOf(fieldsOf(action, "parameters")["display_text"])].filter(Boolean);
  if (titles.length === 0) return null;
  return (
    <ul className="choices-sent">
      {titles.map((title, position) => (
        <li key={position}>{title}</li>
      ))}
    </ul>
  );
}

function Order({ order }: { readonly order: Fields }) {
  const words = useText();
  const language = useLanguage();
  const items = listOf(order["product_items"]).map((item) => ({
    id: stringOf(item["product_retailer_id"]) ?? "",
    quantity: Number(item["quantity"]),
    price: Number(item["item_price"]),
    currency: stringOf(item["currency"]) ?? "",
  }));
  const currency = items[0]?.currency ?? "";
  const total = items.reduce((sum, { quantity, price }) => sum + quantity * price, 0);
  const isOneCurrency = items.every((item) => item.currency === currency);
  return (
    <div className="order">
      <p className="tag file">
        <Icon name="document" />
        {words.chat.order}
      </p>
      <ul>
        {items.map((item, position) => (
          <li key={position}>
            <span>
              {item.quantity} × {item.id}
            </span>
            <span>{money(item.quantity * item.price, item.currency, language)}</span>
          </li>
        ))}
      </ul>
      {isOneCurrency && items.length > 0 && Number.isFinite(total) && (
        <p className="total">
          <strong>
            {words.chat.total}: {money(total, currency, language)}
          </strong>
        </p>
      )}
    </div>
  );
}

function money(amount: number, currency: string, language: string): string {
  if (!Number.isFinite(amount)) return "";
  try {
    return new Intl.NumberFormat(language, { style: "currency", currency }).format(amount);
  } catch {
    return `${amount} ${currency}`.trim();
  }
}

function labelOf(kind: string, words: ReturnType<typeof useText>): string {
  const labels: Readonly<Record<string, string>> = {
    image: words.chat.photo,
    video: words.chat.video,
    audio: words.chat.audio,
    document: words.chat.document,
    sticker: words.chat.sticker,
  };
  return labels[kind] ?? kind;
}

function sizeOf(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.max(1, Math.round(bytes / 1000))} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Content comes from the other side of the world: nothing about its form is certain. */
export function fieldsOf(value: Fields, name: string): Fields {
  const found = value[name];
  return typeof found === "object" && found !== null && !Array.isArray(found) ? (found as Fields) : {};
}

export function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value)
    ? value.filter((each): each is Fields => typeof each === "object" && each !== null && !Array.isArray(each))
    : [];
}

export function stringOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
