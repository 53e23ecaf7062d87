// The file on top of a template: by its public link, or from this device.

import { useId, useRef, useState } from "react";

import { Icon } from "../../../components/Icon";
import { useText } from "../../../i18n";
import { asApiError } from "../../../services/api";
import { useSession } from "../../session/Session";
import { checkFile, uploadFile } from "../api/attachments";
import { fileNameOf, isStored, toStored, type FileHeader } from "../api/templates";

const ACCEPTED: Readonly<Record<FileHeader, string>> = {
  image: "image/jpeg,image/png",
  video: "video/mp4,video/3gpp",
  document: "",
};

interface Props {
  readonly kind: FileHeader;
  readonly value: string;
  readonly problem: string | null;
  readonly onChange: (value: string) => void;
}

export function FileBlank({ kind, value, problem, onChange }: Props) {
  const all = useText();
  const words = all.chat.templates;
  const { config, supabase, organization } = useSession();
  const id = useId();
  const files = useRef<HTMLInputElement>(null);
  const [progress, setProgress] = useState<number | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const upload = async (file: File | undefined) => {
    if (!file) return;
    const checked = checkFile(file);
    setRefusal(
      checked.problem
        ? all.chat.tooLarge(checked.problem.limit)
        : kind !== "document" && checked.kind !== kind
          ? all.chat.notAllowed
          : null,
    );
    if (checked.problem || (kind !== "document" && checked.kind !== kind)) return;
    setProgress(0);
    try {
      onChange(toStored(await uploadFile(config, supabase, organization.id, file, setProgress)));
    } catch (failure) {
      setRefusal(asApiError(failure).message || all.errors.unexpected);
    } finally {
      setProgress(null);
    }
  };
  const shown = refusal ?? problem;
  return (
    <div className="field">
      <label htmlFor={id}>{words.fileLabels[kind]}</label>
      {isStored(value) ? (
        <div className="chip">
          <Icon name={kind === "document" ? "document" : "image"} />
          <span className="chip-label">{fileNameOf(value)}</span>
          <button type="button" className="icon-button" aria-label={all.chat.remove} onClick={() => onChange("")}>
            <Icon name="trash" />
          </button>
        </div>
      ) : (
        <div className="file-blank">
          <input
            id={id}
            type="url"
            className="input"
            placeholder="https://"
            aria-describedby={shown ? `${id}-problem` : `${id}-hint`}
            aria-invalid={Boolean(shown)}
            value={value}
            onChange={(event) => {
              setRefusal(null);
              onChange(event.target.value);
            }}
          />
          <input
            ref={files}
            type="file"
            hidden
            accept={ACCEPTED[kind]}
            aria-label={words.chooseFile}
            onChange={(event) => {
              void upload(event.target.files?.[0]);
              event.target.value = "";
            }}
          />
          <button
            type="button"
            className="button"
            disabled={progress !== null}
            aria-busy={progress !== null}
            onClick={() => files.current?.click()}
          >
            <Icon name="clip" />
            {progress === null ? words.chooseFile : all.chat.uploading(progress)}
          </button>
        </div>
      )}
      <span className="hint" id={`${id}-hint`}>
        {words.fileHint}
      </span>
      {shown && (
        <span className="problem" id={`${id}-problem`}>
          <Icon name="warning" />
          {shown}
        </span>
      )}
    </div>
  );
}
