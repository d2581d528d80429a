"""Mistakes people make with the whole Transformer: its input, its masks, its loss, its decoding."""

from __future__ import annotations

from autograder.misconceptions.bank import Misconception

_EMBED = "x = embedding(ids) * math.sqrt(self.d_model)  # (B, L, E)"
_SUM = "return self.dropout(x + sinusoidal_encoding(ids.size(1), self.d_model).to(x))"
_LOSS = "loss = -(1.0 - smoothing) * of_target - smoothing * log_probability.mean(dim=-1)  # (B, L)"
_MEAN = "return loss.masked_fill(~real, 0.0).sum() / real.sum().clamp(min=1)"
_DECODER_LAYER = "x = layer(x, memory, tgt_mask=future, tgt_key_padding_mask=padding, memory_key_padding_mask=memory_padding_mask)"
_FOLLOWING = "following = following.masked_fill(finished, model.pad_id)"

MISCONCEPTIONS = (
    Misconception(
        "targets-not-shifted",
        "You hand the targets on as they are; the decoder would read the token that it has to write. Its input begins with bos and lags one behind.",
        (("    shifted[:, 0] = bos_id\n    shifted[:, 1:] = targets[:, :-1]\n", "    shifted[:] = targets\n"),),
    ),
    Misconception(
        "shifted-left",
        "You shift to the left; the input of the decoder is the targets moved one to the right, with bos in front.",
        (
            (
                "    shifted[:, 0] = bos_id\n    shifted[:, 1:] = targets[:, :-1]\n",
                "    shifted[:, -1] = bos_id\n    shifted[:, :-1] = targets[:, 1:]\n",
            ),
        ),
    ),
    Misconception(
        "bos-added-in-front",
        "You put bos in front and keep every target, so the input is one longer; its last token is dropped, and the shape stays.",
        (
            ("    shifted = torch.empty_like(targets)\n", "    shifted = torch.cat([targets[:, :1], targets], dim=1)\n"),
            ("    shifted[:, 1:] = targets[:, :-1]\n", ""),
        ),
    ),
    Misconception(
        "first-token-overwritten",
        "You write bos over the first target and shift nothing; every target moves one to the right.",
        (("    shifted[:, 1:] = targets[:, :-1]\n", "    shifted[:, 1:] = targets[:, 1:]\n"),),
    ),
    Misconception(
        "shift-in-place",
        "You write into the targets themselves, and the loss reads them next; fill a new tensor.",
        (
            ("    shifted = torch.empty_like(targets)\n", "    shifted = targets\n"),
            (
                "    shifted[:, 0] = bos_id\n    shifted[:, 1:] = targets[:, :-1]\n",
                "    shifted[:, 1:] = targets[:, :-1].clone()\n    shifted[:, 0] = bos_id\n",
            ),
        ),
    ),
    Misconception(
        "no-embedding-scale",
        "You add the positions to the embeddings as they are; the paper multiplies the embeddings by √d_model first.",
        ((_EMBED, "x = embedding(ids)  # (B, L, E)"),),
    ),
    Misconception(
        "embedding-divided",
        "You divide the embeddings by √d_model; they are multiplied by it, so that positions do not drown them.",
        ((_EMBED, "x = embedding(ids) / math.sqrt(self.d_model)  # (B, L, E)"),),
    ),
    Misconception(
        "embedding-times-d-model",
        "You multiply the embeddings by d_model; the factor is its square root.",
        ((_EMBED, "x = embedding(ids) * self.d_model  # (B, L, E)"),),
    ),
    Misconception(
        "positions-scaled-too",
        "You scale the sum of embedding and position; only the embedding is multiplied by √d_model.",
        (
            (_EMBED, "x = embedding(ids)  # (B, L, E)"),
            (_SUM, "return self.dropout((x + sinusoidal_encoding(ids.size(1), self.d_model).to(x)) * math.sqrt(self.d_model))"),
        ),
    ),
    Misconception(
        "no-positions",
        "You never add the positions; without them a sentence is a bag of words to the model.",
        ((_SUM, "return self.dropout(x)"),),
    ),
    Misconception(
        "positions-from-one",
        "You count positions from 1; the first token stands at position 0, padding included.",
        ((_SUM, "return self.dropout(x + sinusoidal_encoding(ids.size(1) + 1, self.d_model)[1:].to(x))"),),
    ),
    Misconception(
        "positions-skip-padding",
        "You count only real tokens as positions; padding takes up a position like any token.",
        (
            (
                _SUM,
                "position = ((ids != self.pad_id).long().cumsum(dim=1) - 1).clamp(min=0)\n"
                "        return self.dropout(x + sinusoidal_encoding(ids.size(1), self.d_model).to(x)[position])",
            ),
        ),
    ),
    Misconception(
        "positions-in-float32",
        "You take the positions through float32 on their way; cast the float64 table once, to the dtype of the embeddings.",
        ((_SUM, "return self.dropout(x + sinusoidal_encoding(ids.size(1), self.d_model).float())"),),
    ),
    Misconception(
        "dropout-on-embedding-only",
        "You drop values of the embedding before the position is added; dropout acts on their sum.",
        ((_SUM, "return self.dropout(x) + sinusoidal_encoding(ids.size(1), self.d_model).to(x)"),),
    ),
    Misconception(
        "no-dropout-on-the-sum",
        "You leave out the dropout on the sum of embedding and position; the layers have their own, this one is yours.",
        ((_SUM, "return x + sinusoidal_encoding(ids.size(1), self.d_model).to(x)"),),
    ),
    Misconception(
        "source-padding-seen",
        "Your encoder attends to padding; hide the keys whose id is pad_id.",
        (("x = layer(x, src_key_padding_mask=padding)", "x = layer(x)"),),
    ),
    Misconception(
        "padding-mask-inverted",
        "Your encoder hides the real tokens and attends to the padding; True means hidden.",
        (("padding = src == self.pad_id  # (B, S)", "padding = src != self.pad_id  # (B, S)"),),
    ),
    Misconception(
        "pad-id-zero",
        "You take 0 for padding; the model is told its pad_id.",
        (
            ("padding = src == self.pad_id  # (B, S)", "padding = src == 0  # (B, S)"),
            ("padding = tgt == self.pad_id  # (B, L)", "padding = tgt == 0  # (B, L)"),
        ),
    ),
    Misconception(
        "padding-rows-zeroed",
        "You set the memory to zero at padding; queries at padding are computed like any other, only its keys are hidden.",
        (
            (
                "            x = layer(x, src_key_padding_mask=padding)\n        return x",
                "            x = layer(x, src_key_padding_mask=padding)\n        return x.masked_fill(padding.unsqueeze(-1), 0.0)",
            ),
        ),
    ),
    Misconception(
        "target-sees-the-future",
        "Your decoder has no causal mask: a token sees those that it has to predict.",
        ((_DECODER_LAYER, _DECODER_LAYER.replace("tgt_mask=future, ", "")),),
    ),
    Misconception(
        "causal-mask-one-off",
        "Your causal mask begins one too late, so that each token sees the next one; token i sees tokens up to i.",
        (("device=tgt.device).triu(1)  # (L, L)", "device=tgt.device).triu(2)  # (L, L)"),),
    ),
    Misconception(
        "causal-mask-hides-itself",
        "Your causal mask hides each token from itself; token i sees tokens up to and with i.",
        (("device=tgt.device).triu(1)  # (L, L)", "device=tgt.device).triu(0)  # (L, L)"),),
    ),
    Misconception(
        "target-padding-seen",
        "Your decoder attends to target padding; besides the future, it hides the keys whose id is pad_id.",
        ((_DECODER_LAYER, _DECODER_LAYER.replace("tgt_key_padding_mask=padding, ", "")),),
    ),
    Misconception(
        "memory-padding-seen",
        "Your decoder attends to the source's padding; pass the source's mask on to the attention over the memory.",
        ((_DECODER_LAYER, _DECODER_LAYER.replace(", memory_key_padding_mask=memory_padding_mask", "")),),
    ),
    Misconception(
        "forward-without-source-mask",
        "Your forward decodes without the source's padding mask; decode does not know the source and must be told.",
        (("return self.decode(tgt, self.encode(src), src == self.pad_id)", "return self.decode(tgt, self.encode(src))"),),
    ),
    Misconception(
        "forward-shifts",
        "Your forward shifts the target once more; it comes shifted already.",
        (
            (
                "return self.decode(tgt, self.encode(src), src == self.pad_id)",
                "return self.decode(shift_right(tgt, 1), self.encode(src), src == self.pad_id)",
            ),
        ),
    ),
    Misconception(
        "source-embedding-twice",
        "You look the target up in the source's embedding; each side has its own, unless they are tied.",
        (
            (
                "x = self._embed(self.tgt_embedding, tgt)  # (B, L, E)",
                "x = self._embed(self.src_embedding, tgt.clamp(max=self.src_embedding.num_embeddings - 1))  # (B, L, E)",
            ),
        ),
    ),
    Misconception(
        "first-layer-only",
        "You run the first layer alone of each stack, num_layers times over; every layer has weights of its own.",
        (
            (
                "        for layer in self.encoder_layers:\n            x = layer(",
                "        for _ in self.encoder_layers:\n            x = self.encoder_layers[0](",
            ),
            (
                "        for layer in self.decoder_layers:\n            x = layer(",
                "        for _ in self.decoder_layers:\n            x = self.decoder_layers[0](",
            ),
        ),
    ),
    Misconception(
        "softmax-in-the-model",
        "Your decode gives probabilities; it gives logits, and the loss takes the softmax.",
        (("return self.output(x)  # (B, L, V)", "return torch.softmax(self.output(x), dim=-1)  # (B, L, V)"),),
    ),
    Misconception(
        "logits-scaled",
        "You scale the output by √d_model as well; the head uses the bare weight.",
        (("return self.output(x)  # (B, L, V)", "return self.output(x) / math.sqrt(self.d_model)  # (B, L, V)"),),
    ),
    Misconception(
        "smoothing-over-the-others",
        "You spread the smoothing over the V − 1 other classes; it is spread over all V, the target among them.",
        (
            (
                _LOSS,
                "others = (log_probability.sum(dim=-1) - of_target) / (logits.size(-1) - 1)\n    loss = -(1.0 - smoothing) * of_target - smoothing * others",
            ),
        ),
    ),
    Misconception(
        "no-smoothing",
        "You leave the smoothing out: with smoothing 0.1 the target counts 0.9, and 0.1 is spread over all classes.",
        ((_LOSS, "loss = -of_target"),),
    ),
    Misconception(
        "smoothing-not-averaged",
        "You add the smoothing's share for each class instead of dividing it by V.",
        ((_LOSS, "loss = -(1.0 - smoothing) * of_target - smoothing * log_probability.sum(dim=-1)"),),
    ),
    Misconception(
        "softmax-then-log-softmax",
        "You take the softmax of the logits before the log-softmax; one of them is enough.",
        (("log_probability = F.log_softmax(logits, dim=-1)", "log_probability = F.log_softmax(torch.softmax(logits, dim=-1), dim=-1)"),),
    ),
    Misconception(
        "log-of-softmax",
        "You take the logarithm of a softmax; for large logits that is the logarithm of 0. Log-softmax does both in one step.",
        (("log_probability = F.log_softmax(logits, dim=-1)", "log_probability = torch.log(torch.softmax(logits, dim=-1))"),),
    ),
    Misconception(
        "loss-counts-padding",
        "You average over padding too; only targets that are not pad_id count, in the sum and in the number.",
        ((_MEAN, "return loss.mean()"),),
    ),
    Misconception(
        "loss-divided-by-all",
        "You leave padding out of the sum and count it in the number; divide by the targets that are not padding.",
        ((_MEAN, "return loss.masked_fill(~real, 0.0).mean()"),),
    ),
    Misconception(
        "loss-mean-of-rows",
        "You average each row first and then the rows; the mean is over all real targets of the batch, whatever row they stand in.",
        ((_MEAN, "return (loss.masked_fill(~real, 0.0).sum(dim=1) / real.sum(dim=1).clamp(min=1)).mean()"),),
    ),
    Misconception(
        "loss-summed",
        "You add the losses up; the loss is their mean over the real targets.",
        ((_MEAN, "return loss.masked_fill(~real, 0.0).sum()"),),
    ),
    Misconception(
        "loss-of-nothing-nan",
        "A batch that is all padding gives 0 / 0; its loss is 0.",
        ((_MEAN, "return loss.masked_fill(~real, 0.0).sum() / real.sum()"),),
    ),
    Misconception(
        "loss-pad-id-zero",
        "Your loss takes 0 for padding whatever pad_id says.",
        (("real = targets != pad_id", "real = targets != 0"),),
    ),
    Misconception(
        "smoothing-unchecked",
        "You accept any smoothing; outside [0, 1) it is a ValueError.",
        (("if not 0.0 <= smoothing < 1.0:", "if False:"),),
    ),
    Misconception(
        "learning-rate-max",
        "You take the larger of the two terms; the learning rate is the smaller one.",
        (
            (
                "return float(d_model**-0.5 * min(step**-0.5, step * warmup**-1.5))",
                "return float(d_model**-0.5 * max(step**-0.5, step * warmup**-1.5))",
            ),
        ),
    ),
    Misconception(
        "learning-rate-from-one",
        "You count the step one too high; step 1 is the first, and step 0 gives 0.",
        (
            (
                "return float(d_model**-0.5 * min(step**-0.5, step * warmup**-1.5))",
                "return float(d_model**-0.5 * min((step + 1) ** -0.5, (step + 1) * warmup**-1.5))",
            ),
        ),
    ),
    Misconception(
        "learning-rate-without-d-model",
        "You leave out the factor d_model^−0.5, which makes wide models learn slower.",
        (("return float(d_model**-0.5 * min(step**-0.5, step * warmup**-1.5))", "return float(min(step**-0.5, step * warmup**-1.5))"),),
    ),
    Misconception(
        "learning-rate-step-zero",
        "Step 0 divides by zero; its learning rate is 0.0.",
        (("    if step == 0:\n        return 0.0\n", ""),),
    ),
    Misconception(
        "learning-rate-unchecked",
        "You accept a negative step and a warm-up below 1; both are a ValueError.",
        (("    if step < 0 or warmup < 1:\n", "    if False:\n"), ("    if step == 0:\n", "    if step <= 0 or warmup < 1:\n")),
    ),
    Misconception(
        "decode-keeps-bos",
        "You return bos as well; what is decoded begins after it.",
        (("return ids[:, 1:]", "return ids"),),
    ),
    Misconception(
        "decode-goes-on-after-eos",
        "A row goes on writing after its own eos; from there on it is filled with pad_id.",
        ((_FOLLOWING, "following = following + 0"),),
    ),
    Misconception(
        "decode-stops-at-first-eos",
        "You stop when the first row has written eos; each row goes on to its own.",
        (("not finished.all()", "not finished.any()"),),
    ),
    Misconception(
        "decode-never-stops",
        "You always write max_len tokens; stop when every row has written eos, so that the longest row sets the length.",
        (("while ids.size(1) <= max_len and not finished.all():", "while ids.size(1) <= max_len:"),),
    ),
    Misconception(
        "decode-fills-with-eos",
        "You fill a finished row with eos; it is filled with pad_id.",
        ((_FOLLOWING, "following = following.masked_fill(finished, eos_id)"),),
    ),
    Misconception(
        "decode-one-too-many",
        "You write one token more than max_len; bos does not count, and max_len tokens follow it.",
        (("while ids.size(1) <= max_len and", "while ids.size(1) <= max_len + 1 and"),),
    ),
    Misconception(
        "decode-without-source-mask",
        "You decode without the source's padding mask.",
        (("following = model.decode(ids, memory, padding)", "following = model.decode(ids, memory)"),),
    ),
    Misconception(
        "decode-encodes-each-step",
        "You encode the source again for every token; the memory does not change, encode once.",
        (("following = model.decode(ids, memory, padding)", "following = model.decode(ids, model.encode(src), padding)"),),
    ),
    Misconception(
        "decode-in-train-mode",
        "You decode in the mode that you find; with dropout every answer is another one. Switch to eval mode, and back afterwards.",
        (("    model.eval()\n", ""),),
    ),
    Misconception(
        "decode-leaves-eval-mode",
        "You leave the model in eval mode; put back the mode that you found.",
        (("        model.train(was_training)", "        model.eval()"),),
    ),
    Misconception(
        "decode-always-back-to-train",
        "You put the model into train mode afterwards, even when it was not; put back the mode that you found.",
        (("        model.train(was_training)", "        model.train()"),),
    ),
    Misconception(
        "decode-max-len-unchecked",
        "You accept a negative max_len; it is a ValueError.",
        (("    if max_len < 0:\n", "    if False:\n"),),
    ),
)
