"""Mistakes people make with the whole Transformer: its input, its masks, its loss, its decoding."""

from __future__ import annotations

from autograder.misconceptions.bank import Misconception

_EMBED = "x = embedding(ids) * math.sqrt(self.d_model)  # (B, L, E)"
_SUM = "return self.dropout(x + sinusoidal_encoding(ids.size(1), self.d_model).to(x))"
_LOSS = "loss = -(1.0 - smoothing) * of_target - smoothing * log_probability.mean(dim=-1)  # (B, L)"
_MEAN = "return loss.masked_fill(~real, 0.0).sum() / real.sum().clamp(min=1)"
_DECODER_LAYER = "x = layer(x, memory, tgt_mask=future, tgt_key_padding_mask=padding, memory_key_padding_mask=memory_padding_mask)"
_RETURN = "return self.output(x)  # (B, L, V)"
_RATE = "return float(d_model**-0.5 * min(step**-0.5, step * warmup**-1.5))"
_LOG = "log_probability = F.log_softmax(logits, dim=-1)"
_ENCODER_LAYER = "x = layer(x, src_key_padding_mask=padding)"
_SOURCE_PADDING = "padding = src == self.pad_id  # (B, S)"
_TARGET_PADDING = "padding = tgt == self.pad_id  # (B, L)"
_FORWARD = "return self.decode(tgt, self.encode(src), src == self.pad_id)"
_NEXT = "following = model.decode(ids, memory, padding)[:, -1].argmax(dim=-1)  # (B,)"
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
        "shift-always-long",
        "You give the shifted targets as int64 whatever came; they keep the dtype of the targets.",
        (("    return shifted\n", "    return shifted.long()\n"),),
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
        "target-not-scaled",
        "You multiply the source's embeddings by √d_model and not the target's; both sides enter the same way.",
        ((_EMBED, "x = embedding(ids) * (math.sqrt(self.d_model) if embedding is self.src_embedding else 1.0)  # (B, L, E)"),),
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
        "target-without-positions",
        "You add positions to the source and not to the target; the decoder needs them too.",
        ((_SUM, "return self.dropout(x + sinusoidal_encoding(ids.size(1), self.d_model).to(x) * (embedding is self.src_embedding))"),),
    ),
    Misconception(
        "source-without-positions",
        "You add positions to the target and not to the source; the encoder needs them too.",
        ((_SUM, "return self.dropout(x + sinusoidal_encoding(ids.size(1), self.d_model).to(x) * (embedding is self.tgt_embedding))"),),
    ),
    Misconception(
        "positions-by-row",
        "Each row of the batch gets one position for all of its tokens; the position counts tokens, along dimension 1.",
        ((_SUM, "return self.dropout(x + sinusoidal_encoding(ids.size(0), self.d_model).to(x).unsqueeze(1))"),),
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
        "padding-without-position",
        "You give padding no position; it has one like any token, and the masks do the rest.",
        ((_SUM, "return self.dropout(x + sinusoidal_encoding(ids.size(1), self.d_model).to(x) * (ids != self.pad_id).unsqueeze(-1))"),),
    ),
    Misconception(
        "padding-embedding-zeroed",
        "You set the embedding of padding to zero; it is embedded like any token, the masks do the rest.",
        ((_EMBED, _EMBED.replace("embedding(ids)", "embedding(ids) * (ids != self.pad_id).unsqueeze(-1)")),),
    ),
    Misconception(
        "padding-idx",
        "You give the embeddings a padding_idx, and the embedding of padding never learns; the layers are given without it.",
        (
            ("nn.Embedding(src_vocab_size, d_model)", "nn.Embedding(src_vocab_size, d_model, padding_idx=pad_id)"),
            ("nn.Embedding(tgt_vocab_size, d_model)", "nn.Embedding(tgt_vocab_size, d_model, padding_idx=pad_id)"),
        ),
    ),
    Misconception(
        "positions-left-in-float64",
        "You add the table of positions in float64; it has to take the dtype of the embeddings, or a model in float32 meets two dtypes.",
        (("sinusoidal_encoding(ids.size(1), self.d_model).to(x))", "sinusoidal_encoding(ids.size(1), self.d_model))"),),
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
        "dropout-on-one-side",
        "You drop values of the source's input and not of the target's; dropout acts on the sum on both sides.",
        (
            (
                _SUM,
                "x = x + sinusoidal_encoding(ids.size(1), self.d_model).to(x)\n        return self.dropout(x) if embedding is self.src_embedding else x",
            ),
        ),
    ),
    Misconception(
        "dropout-twice",
        "You drop values twice, before the position is added and after; dropout acts once, on the sum.",
        ((_SUM, "return self.dropout(self.dropout(x) + sinusoidal_encoding(ids.size(1), self.d_model).to(x))"),),
    ),
    Misconception(
        "dropout-on-the-logits",
        "You drop values once more before the output matrix; after the last layer there is no dropout.",
        ((_RETURN, "return self.output(self.dropout(x))  # (B, L, V)"),),
    ),
    Misconception(
        "source-padding-seen",
        "Your encoder attends to padding; hide the keys whose id is pad_id.",
        (("x = layer(x, src_key_padding_mask=padding)", "x = layer(x)"),),
    ),
    Misconception(
        "source-padding-hidden-in-first-layer",
        "You hide padding in the first encoder layer alone; every layer attends anew and needs the mask.",
        ((_ENCODER_LAYER, "x = layer(x, src_key_padding_mask=padding if layer is self.encoder_layers[0] else None)"),),
    ),
    Misconception(
        "padding-at-the-end-only",
        "You take only what stands at the end for padding; pad_id is hidden wherever it stands.",
        (
            (_SOURCE_PADDING, "padding = (src == self.pad_id).flip(1).long().cumprod(dim=1).flip(1).bool()  # (B, S)"),
            (_TARGET_PADDING, "padding = (tgt == self.pad_id).flip(1).long().cumprod(dim=1).flip(1).bool()  # (B, L)"),
        ),
    ),
    Misconception(
        "hidden-after-first-padding",
        "You hide everything from the first padding on; only the keys whose id is pad_id are hidden.",
        (
            (_SOURCE_PADDING, "padding = (src == self.pad_id).long().cumsum(dim=1) > 0  # (B, S)"),
            (_TARGET_PADDING, "padding = (tgt == self.pad_id).long().cumsum(dim=1) > 0  # (B, L)"),
        ),
    ),
    Misconception(
        "padding-filled-with-a-large-number",
        "You hide keys by adding a large negative number; a query that sees no key then averages all of them. Hide with True, or with −∞.",
        ((_ENCODER_LAYER, "x = layer(x, src_key_padding_mask=x.new_zeros(padding.shape).masked_fill(padding, -1e9))"),),
    ),
    Misconception(
        "encoder-causal",
        "Your encoder has a causal mask; every source token sees all of the source, only the decoder's own side is causal.",
        ((_ENCODER_LAYER, "x = layer(x, torch.ones(src.size(1), src.size(1), dtype=torch.bool).triu(1), padding)"),),
    ),
    Misconception(
        "norm-first",
        "Your layers normalise before each sub-layer; the paper's normalise after the residual, and the layers are given so.",
        (
            (
                "nn.TransformerEncoderLayer(d_model, num_heads, d_ff, dropout, batch_first=True)",
                "nn.TransformerEncoderLayer(d_model, num_heads, d_ff, dropout, batch_first=True, norm_first=True)",
            ),
            (
                "nn.TransformerDecoderLayer(d_model, num_heads, d_ff, dropout, batch_first=True)",
                "nn.TransformerDecoderLayer(d_model, num_heads, d_ff, dropout, batch_first=True, norm_first=True)",
            ),
        ),
    ),
    Misconception(
        "final-norms",
        "You normalise once more after the last layer; post-norm layers end on a norm already, so there is no final one.",
        (
            (
                "            x = layer(x, src_key_padding_mask=padding)\n        return x",
                "            x = layer(x, src_key_padding_mask=padding)\n        return F.layer_norm(x, (self.d_model,))",
            ),
            (_RETURN, "return self.output(F.layer_norm(x, (self.d_model,)))  # (B, L, V)"),
        ),
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
        "memory-mask-inverted",
        "You turn the memory's mask around before the layers get it; it says True for hidden, and so do they.",
        ((_DECODER_LAYER, _DECODER_LAYER.replace("=memory_padding_mask", "=None if memory_padding_mask is None else ~memory_padding_mask")),),
    ),
    Misconception(
        "memory-mask-in-first-layer",
        "You hide the memory's padding in the first decoder layer alone; every layer needs the mask.",
        ((_DECODER_LAYER, _DECODER_LAYER.replace("=memory_padding_mask", "=memory_padding_mask if layer is self.decoder_layers[0] else None")),),
    ),
    Misconception(
        "memory-causal",
        "You put a causal mask on the attention over the memory; every target token sees all of the source.",
        (
            (
                _DECODER_LAYER,
                "ahead = torch.ones(L, memory.size(1), dtype=torch.bool).triu(1)\n            "
                + _DECODER_LAYER.replace("tgt_mask=future,", "tgt_mask=future, memory_mask=ahead,"),
            ),
        ),
    ),
    Misconception(
        "memory-mask-required",
        "You use the memory's mask without asking whether there is one; None hides nothing.",
        ((_DECODER_LAYER, _DECODER_LAYER.replace("=memory_padding_mask", "=memory_padding_mask.bool()")),),
    ),
    Misconception(
        "memory-detached",
        "You detach the memory, so that the encoder never learns from the decoder's errors.",
        ((_DECODER_LAYER, _DECODER_LAYER.replace("x, memory,", "x, memory.detach(),")),),
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
        "head-always-tied",
        "You multiply by the target's embedding matrix; the head is self.output, which is that matrix only when the weights are tied.",
        ((_RETURN, "return x @ self.tgt_embedding.weight.T  # (B, L, V)"),),
    ),
    Misconception(
        "log-softmax-in-the-model",
        "Your decode gives logarithms of probabilities; it gives logits, and the loss takes the log-softmax.",
        ((_RETURN, "return torch.log_softmax(self.output(x), dim=-1)  # (B, L, V)"),),
    ),
    Misconception(
        "last-position-only",
        "Your decode gives the logits of the last position alone; each position of tgt has its own.",
        ((_RETURN, "return self.output(x[:, -1:])  # (B, 1, V)"),),
    ),
    Misconception(
        "tied-by-copy",
        "You copy the embedding into the output layer; tied weights are one Parameter object, and what one learns the others have.",
        (("self.output.weight = self.src_embedding.weight", "self.output.weight = nn.Parameter(self.src_embedding.weight.detach().clone())"),),
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
        "smoothing-without-padding-class",
        "You spread the smoothing over all classes but the target and padding; here it is spread over all V.",
        (
            (
                _LOSS,
                "others = log_probability.sum(dim=-1) - of_target - log_probability[..., pad_id]\n"
                "    loss = -(1.0 - smoothing) * of_target - smoothing * others / (logits.size(-1) - 2)",
            ),
        ),
    ),
    Misconception(
        "smoothing-swapped",
        "You give the target the share smoothing and the classes the rest; the target keeps 1 − smoothing.",
        ((_LOSS, "loss = -smoothing * of_target - (1.0 - smoothing) * log_probability.mean(dim=-1)"),),
    ),
    Misconception(
        "smoothing-added",
        "You add the smoothing's term to the whole cross-entropy; the target's own share falls to 1 − smoothing.",
        ((_LOSS, "loss = -of_target - smoothing * log_probability.mean(dim=-1)"),),
    ),
    Misconception(
        "smoothing-fixed",
        "You smooth by 0.1 whatever is asked for; use the argument.",
        ((_LOSS, "loss = -0.9 * of_target - 0.1 * log_probability.mean(dim=-1)"),),
    ),
    Misconception(
        "divergence-instead-of-cross-entropy",
        "You compute the KL divergence from the smoothed targets; the cross-entropy does not subtract their entropy.",
        (
            (
                _LOSS,
                "q = torch.full_like(logits, smoothing / logits.size(-1))\n"
                "    q = q.scatter_add(-1, targets.unsqueeze(-1), torch.full_like(logits[..., :1], 1.0 - smoothing))\n"
                '    loss = F.kl_div(log_probability, q, reduction="none").sum(dim=-1)',
            ),
        ),
    ),
    Misconception(
        "loss-in-float32",
        "You compute the loss in float32; float64 logits are computed in float64.",
        ((_LOG, "log_probability = F.log_softmax(logits.float(), dim=-1)"),),
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
        "loss-squeezes-everything",
        "You squeeze every dimension of 1, not only the one that gather leaves; sequences of one target lose theirs too, and are stretched against the batch.",
        (("targets.unsqueeze(-1)).squeeze(-1)", "targets.unsqueeze(-1)).squeeze()"),),
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
        "smoothing-one-accepted",
        "You accept a smoothing of 1; then nothing is left for the target. It is in [0, 1), 1 excluded.",
        (("if not 0.0 <= smoothing < 1.0:", "if not 0.0 <= smoothing <= 1.0:"),),
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
        "learning-rate-never-falls",
        "Your learning rate grows for ever; after the warm-up it falls with the square root of the step.",
        ((_RATE, "return float(d_model**-0.5 * step * warmup**-1.5)"),),
    ),
    Misconception(
        "learning-rate-without-warmup",
        "Your learning rate falls from the first step on; during the warm-up it grows in a line.",
        ((_RATE, "return float(d_model**-0.5 * step**-0.5)"),),
    ),
    Misconception(
        "learning-rate-grows-with-d-model",
        "You multiply by √d_model; the factor is d_model^−0.5.",
        ((_RATE, "return float(d_model**0.5 * min(step**-0.5, step * warmup**-1.5))"),),
    ),
    Misconception(
        "learning-rate-one-late",
        "You count the step one too low; step 1 is the first and has a learning rate above 0.",
        ((_RATE, "step = max(step - 1, 1)\n    return float(d_model**-0.5 * min(step**-0.5, step * warmup**-1.5))"),),
    ),
    Misconception(
        "learning-rate-warmup-fixed",
        "You warm up for 4000 steps whatever is asked for; use the argument.",
        ((_RATE, "return float(d_model**-0.5 * min(step**-0.5, step * 4000**-1.5))"),),
    ),
    Misconception(
        "learning-rate-tensor",
        "You return a tensor; the learning rate is a float of Python's own.",
        ((_RATE, "return torch.tensor(d_model**-0.5 * min(step**-0.5, step * warmup**-1.5))  # type: ignore[return-value]"),),
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
    Misconception(
        "decode-leaves-out-eos",
        "You leave eos out of the answer; it is the last token of a row that ended.",
        (("            return ids[:, 1:]", "            return ids[:, 1:].masked_fill(ids[:, 1:] == eos_id, model.pad_id)"),),
    ),
    Misconception(
        "decode-pads-to-max-len",
        "You fill every answer up to max_len; the longest row sets the length.",
        (("            return ids[:, 1:]", "            return F.pad(ids[:, 1:], (0, max_len + 1 - ids.size(1)), value=model.pad_id)"),),
    ),
    Misconception(
        "decode-forgets-finished-rows",
        "You ask only whether all rows write eos at the same step; a row that has ended stays ended.",
        (("finished = finished | (following == eos_id)", "finished = following == eos_id"),),
    ),
    Misconception(
        "decode-pad-ends-a-row",
        "You take padding for the end of a row; a row ends at eos, and pad_id is a token like any other until then.",
        (("finished = finished | (following == eos_id)", "finished = finished | (following == eos_id) | (following == model.pad_id)"),),
    ),
    Misconception(
        "decode-never-writes-padding",
        "You forbid the model to write pad_id; greedy decoding takes the likeliest token, whichever it is.",
        (
            (
                _NEXT,
                "logits = model.decode(ids, memory, padding)[:, -1]\n"
                "                following = logits.index_fill(-1, torch.tensor([model.pad_id]), -math.inf).argmax(dim=-1)",
            ),
        ),
    ),
    Misconception(
        "decode-pad-id-zero",
        "You fill finished rows with 0; they are filled with the model's pad_id.",
        ((_FOLLOWING, "following = following.masked_fill(finished, 0)"),),
    ),
    Misconception(
        "decode-reads-first-position",
        "You read the logits of the first position; the next token is told by the last one.",
        ((_NEXT, _NEXT.replace("[:, -1]", "[:, 0]")),),
    ),
    Misconception(
        "decode-feeds-last-token-only",
        "You feed the last token alone; without a cache the decoder needs all tokens so far.",
        ((_NEXT, _NEXT.replace("decode(ids,", "decode(ids[:, -1:],")),),
    ),
    Misconception(
        "decode-samples",
        "You draw the next token at random; greedy decoding takes the likeliest.",
        ((_NEXT, "following = torch.multinomial(model.decode(ids, memory, padding)[:, -1].softmax(dim=-1), 1).squeeze(1)"),),
    ),
    Misconception(
        "decode-trims-afterwards",
        "You write max_len tokens and cut the end off; stop when every row has its eos.",
        (
            ("while ids.size(1) <= max_len and not finished.all():", "while ids.size(1) <= max_len:"),
            (
                "            return ids[:, 1:]",
                "            ended = (ids[:, 1:] == eos_id).long().cumsum(dim=1) - (ids[:, 1:] == eos_id).long()\n"
                "            return ids[:, 1:][:, (ended == 0).any(dim=0)]",
            ),
        ),
    ),
    Misconception(
        "decode-with-gradient",
        "You decode with gradient, and the graph of every step stays in memory; use torch.no_grad().",
        (("        with torch.no_grad():\n", "        if True:\n"),),
    ),
    Misconception(
        "decode-switches-gradient-off",
        "You switch gradients off and never on again; a `with torch.no_grad():` block puts them back.",
        (("        with torch.no_grad():\n", "        torch.set_grad_enabled(False)\n        if True:\n"),),
    ),
    Misconception(
        "decode-restores-one-flag",
        "You set model.training alone, and its parts stay in eval mode; model.train(mode) goes through all of them.",
        (("        model.train(was_training)", "        model.training = was_training"),),
    ),
    Misconception(
        "decode-refuses-zero",
        "You refuse max_len = 0; it is allowed and gives (B, 0).",
        (("    if max_len < 0:\n", "    if max_len < 1:\n"),),
    ),
    Misconception(
        "decode-checks-too-late",
        "You refuse a negative max_len after switching to eval mode; check arguments before you change anything.",
        (
            ('    if max_len < 0:\n        raise ValueError(f"max_len must be >= 0, got {max_len}")\n', ""),
            ("    model.eval()\n", '    model.eval()\n    if max_len < 0:\n        raise ValueError(f"max_len must be >= 0, got {max_len}")\n'),
        ),
    ),
)
