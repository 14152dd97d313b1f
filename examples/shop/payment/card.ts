import type { Card } from "./contract.ts";

/** The digits of a card number. */
export function digitsOf(number: string): string {
  return number.replaceAll(" ", "");
}

/** The check digit of ISO/IEC 7812-1 (Luhn). */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    let digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    if (i % 2 === 1) {
      digit *= 2;
      if (digit > 9) digit -= 9;
    }
    sum += digit;
  }
  return digits.length >= 12 && digits.length <= 19 && sum % 10 === 0;
}

/** A card is good to the end of its month. */
export function isExpired(card: Card, now: Date): boolean {
  const year = now.getUTCFullYear();
  return card.expiryYear < year || (card.expiryYear === year && card.expiryMonth < now.getUTCMonth() + 1);
}

/** What the pretended bank says, by well-known test numbers. Undefined when it agrees. */
export function declineOf(digits: string): string | undefined {
  return declines[digits];
}

const declines: Readonly<Record<string, string>> = {
  "4000000000000002": "The bank declined the card.",
  "4000000000009995": "There is not enough money on the card.",
  "4000000000009987": "The card is reported lost.",
};

/** Why a card is not charged. Undefined when it is. */
export function refusalOf(card: Card): { readonly reason: Reason; readonly message: string } | undefined {
  const digits = digitsOf(card.number);
  if (!passesLuhn(digits)) return { reason: "CARD_INVALID", message: "This is no card number." };
  if (isExpired(card, new Date())) return { reason: "CARD_EXPIRED", message: "The card is expired." };
  const decline = declineOf(digits);
  return decline === undefined ? undefined : { reason: "CARD_DECLINED", message: decline };
}

type Reason = "CARD_INVALID" | "CARD_EXPIRED" | "CARD_DECLINED";
