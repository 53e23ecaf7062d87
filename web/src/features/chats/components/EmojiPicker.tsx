// The emoji that people who sell and help use most.

const emoji = [
  ...("😀😃😄😁😅😂🙂😉😊😍😘😋😎🤗🤔😐😴😢😭😡😱🥳😇🤝👍👎👌🙌👏🙏💪👋✌️🫶❤️🧡💛💚💙💜🔥✨⭐🎉🎁✅❌⚠️❓❗📞📱💬📷📎📄📦🚚🛒💳💵🏠📍🗓️⏰☕🍕🍰🥖🐶🐱🌞🌈".match(
    /\p{Extended_Pictographic}\u{FE0F}?/gu,
  ) ?? []),
];

export default function EmojiPicker({
  onPick,
  label,
}: {
  readonly onPick: (emoji: string) => void;
  readonly label: string;
}) {
  return (
    <div className="emoji-picker" role="group" aria-label={label}>
      {emoji.map((each) => (
        <button key={each} type="button" className="icon-button" onClick={() => onPick(each)}>
          {each}
        </button>
      ))}
    </div>
  );
}
