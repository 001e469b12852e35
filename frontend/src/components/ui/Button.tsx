import type { ButtonHTMLAttributes } from "react";

import { Icon, type IconName } from "./Icon";

type Look = "primary" | "plain" | "danger" | "quiet";

const LOOKS: Record<Look, string> = {
  primary: "bg-accent text-on-accent border-transparent hover:brightness-110",
  plain: "bg-surface text-ink border-line hover:bg-raised",
  danger: "bg-surface text-bad border-line hover:bg-raised",
  quiet: "border-transparent text-quiet hover:bg-raised hover:text-ink",
};

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look;
  icon?: IconName;
}

export function Button({ look = "plain", icon, className = "", children, ...rest }: Props) {
  const padding = children ? "px-3 min-h-8" : "size-8";
  return (
    <button
      type="button"
      {...rest}
      className={`inline-flex items-center justify-center gap-1.5 rounded-md border text-sm font-medium whitespace-nowrap transition-colors disabled:opacity-50 ${padding} ${LOOKS[look]} ${className}`}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
